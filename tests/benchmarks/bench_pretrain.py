"""Cost of a pre-training step: share of each worker, loading alone, accumulation, bf16 and compilation.

python -m tests.benchmarks.bench_pretrain [--steps N] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tests.corpora import write_corpus
from tests.pretraining_runs import arguments, write_features
from workflow_scripts import pretrain
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.pretraining.device import best_device
from workflow_scripts.pretraining.run import Pretraining

FEATURES = {name: {"targets": "normalised"} for name in ("lps", "prosody", "mfcc", "chroma", "tempogram")}
DEMO = {"width": 0.25, "batch": 16, "chunk_seconds": 1.0}
FULL = {"width": 1.0, "batch": 8, "chunk_seconds": 1.0}
SIZES = {"width 1/4, 16 x 1 s": DEMO, "full width, 8 x 1 s": FULL}
LOADED = 50  # batches: loading is too fast to be timed on fewer


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Data and length of the runs."""

    folder: Path
    corpus: Corpus
    steps: int
    threads: int

    @property
    def features(self) -> dict[str, Path]:
        """Stored targets by worker."""
        return {"prosody": self.folder / "prosody.npy"}

    def config(self, workers: dict[str, dict], numbers: dict[str, float], **recipe: object) -> dict[str, Any]:
        """Return the config of a run of `steps` steps."""
        return {
            "encoder": {"name": "pase", "options": {"embedding": 512, "width": numbers["width"]}},
            "workers": workers,
            "weighting": {"name": "equal", "options": {}},
            "augmentation": {"name": "none", "options": {}},
            "recipe": {
                "epochs": 1,
                "steps_per_epoch": self.steps,
                "batch": numbers["batch"],
                "chunk_seconds": numbers["chunk_seconds"],
                "encoder_learning_rate": 0.001,
                "worker_learning_rate": 0.0005,
                "schedule": "poly",
                "validation_batches": 0,
                "calibration_batches": 1,
                "compile": False,  # compilation would take most of such a short run
                **recipe,
            },
            "seed": 0,
            "corpus": "tones",
        }

    def command(self, config: dict[str, Any]) -> list[str]:
        """Return the command line of a run."""
        flags = arguments(config, corpus=self.corpus, output=self.folder / "run", features=self.features)
        return [*flags[:-1], str(self.threads)]

    def record(self, config: dict[str, Any]) -> dict[str, Any]:
        """Train in this process and return the record of the run."""
        pretrain.main(self.command(config))
        return json.loads((self.folder / "run" / "record.json").read_text())

    def record_of_subprocess(self, config: dict[str, Any]) -> dict[str, Any]:
        """Train in a separate process, whose peak memory is that of the run, and return the record."""
        command = [sys.executable, "-m", "workflow_scripts.pretrain", *self.command(config)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return json.loads((self.folder / "run" / "record.json").read_text())

    def seconds_per_loaded_batch(self, config: dict[str, Any]) -> float:
        """Measure the time to load a batch onto the device while nothing else runs."""
        device = best_device()
        run = Pretraining(
            config=config,
            corpus=self.corpus,
            features=self.features,
            output=self.folder / "run",
            code="c0de",
            device=device,
        )
        trainer = run.build_trainer()
        started = time.perf_counter()
        for batch in trainer.loader.batches((trainer.sampler.training_crops(step), step) for step in range(LOADED)):
            batch.clean.sum().item()  # reads every sample, and waits for the copy to a GPU
        return (time.perf_counter() - started) / LOADED


def main() -> None:
    """Print the times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder / "tones", clips=60, seconds=3.0, task="unlabelled")
        write_features(folder / "prosody.npy", corpus, channels=4)
        bench = Bench(folder=folder, corpus=corpus, steps=options.steps, threads=options.threads)
        for title, numbers in SIZES.items():
            print_workers(bench, title, numbers)
            print_loading(bench, title, numbers)
        print_accumulation(bench)
        print_precision(bench)


def print_workers(bench: Bench, title: str, numbers: dict[str, float]) -> None:
    """Print steps and seconds of audio per second, and the time of a step relative to the first set of workers."""
    sets = {
        "prosody alone": {"prosody": FEATURES["prosody"]},
        **{
            f"prosody + {worker}": {w: FEATURES[w] for w in ("prosody", worker)}
            for worker in FEATURES
            if worker != "prosody"
        },
        "all five": FEATURES,
        "all six": all_six(numbers),
    }
    # not counted: the first run includes imports and allocations
    bench.record(bench.config(sets["prosody alone"], numbers))
    first = 0.0
    for label, workers in sets.items():
        rate = bench.record(bench.config(workers, numbers))["steps_per_second"]
        first = first or rate
        audio = rate * numbers["batch"] * numbers["chunk_seconds"]
        line = f"{title}, {label}: {rate:.2f} steps/s, {audio:.1f} s of audio/s, ratio {first / rate:.2f}"
        print(line, flush=True)


def print_loading(bench: Bench, title: str, numbers: dict[str, float]) -> None:
    """Print the time of loading alone compared with the training step."""
    config = bench.config(all_six(numbers), numbers)
    record, loading = bench.record(config), bench.seconds_per_loaded_batch(config)
    step = 1 / record["steps_per_second"]
    print(
        f"{title}: loading {1000 * loading:.2f} ms per batch, step {1000 * step:.1f} ms, "
        f"{step / loading:.0f} times faster; share of the steps' time spent waiting {record['waiting_share']:.3f}; "
        f"{record['flops_per_step'] / 1e9:.2f} GFLOP per step",
        flush=True,
    )


def print_accumulation(bench: Bench) -> None:
    """Print the time and memory of a large batch, whole and in parts."""
    for parts in (1, 4, 16):
        config = bench.config(all_six(DEMO), DEMO | {"batch": 64}, accumulate=parts)
        record = bench.record_of_subprocess(config)
        peak = record["peak_device_memory_bytes"] or record["peak_memory_bytes"]
        print(
            f"64 x 1 s in {parts} parts: {record['steps_per_second']:.2f} steps/s, peak memory {peak / 1e9:.2f} GB",
            flush=True,
        )


def print_precision(bench: Bench) -> None:
    """Print the time of plain, bf16 and compiled steps of the full network on a GPU."""
    if best_device().type != "cuda":
        print("bf16 and compiling: not measured, there is no GPU", flush=True)
        return
    numbers, first = FULL | {"batch": 32, "chunk_seconds": 2.0}, 0.0  # the paper's recipe
    warm = replace(bench, steps=1000)  # long enough that compilation time hardly matters
    for precision in ("float32", "bf16"):
        for compiled in (False, True):
            record = warm.record(warm.config(all_six(numbers), numbers, precision=precision, compile=compiled))
            first = first or record["steps_per_second"]
            print(
                f"32 x 2 s, {precision}, {'compiled' if record['compiled'] else 'plain'}: "
                f"{record['steps_per_second']:.1f} steps/s, ratio {record['steps_per_second'] / first:.2f}, "
                f"peak {record['peak_device_memory_bytes'] / 1e9:.2f} GB, waiting {record['waiting_share']:.3f}, "
                f"utilisation {record['model_flops_utilisation']}",
                flush=True,
            )


def all_six(numbers: dict[str, float]) -> dict[str, dict]:
    """Return all six workers, with a decoder as wide as the encoder."""
    return FEATURES | {"waveform": {"width": numbers["width"]}}


if __name__ == "__main__":
    main()
