"""Cost of a pre-training step: the demo's network, full PASE, and each worker's share of the step.

python -m tests.benchmarks.bench_pretrain [--steps N] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch

from tests.corpora import write_corpus
from tests.pretraining import arguments, write_features
from workflow_scripts import pretrain
from workflow_scripts.audio.corpus import Corpus

FEATURES = {name: {"targets": "normalised"} for name in ("lps", "prosody", "mfcc", "chroma", "tempogram")}
DEMO = {"width": 0.25, "batch": 16, "chunk_seconds": 1.0}
FULL = {"width": 1.0, "batch": 8, "chunk_seconds": 1.0}


def main() -> None:
    """Print steps and seconds of audio per second, and the ratio of each set's step to the first one's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder / "tones", clips=60, seconds=3.0, task="unlabelled")
        write_features(folder / "prosody.npy", corpus, channels=4)
        for title, numbers in (("width 1/4, 16 x 1 s", DEMO), ("full width, 8 x 1 s", FULL)):
            sets = {
                "prosody alone": {"prosody": FEATURES["prosody"]},
                **{
                    f"prosody + {worker}": {w: FEATURES[w] for w in ("prosody", worker)}
                    for worker in FEATURES
                    if worker != "prosody"
                },
                "all five": FEATURES,
                "all five + waveform": FEATURES | {"waveform": {"width": numbers["width"]}},
            }
            # a run that is not counted: the first one pays for imports and allocations
            steps_per_second(folder, corpus, sets["prosody alone"], numbers, steps=2, threads=given.threads)
            first = 0.0
            for label, workers in sets.items():
                rate = steps_per_second(folder, corpus, workers, numbers, steps=given.steps, threads=given.threads)
                first = first or rate
                audio = rate * numbers["batch"] * numbers["chunk_seconds"]
                print(
                    f"{title}, {label}: {rate:.2f} steps/s, {audio:.1f} s of audio/s, ratio {first / rate:.2f}",
                    flush=True,
                )


def steps_per_second(
    folder: Path, corpus: Corpus, workers: dict[str, dict], numbers: dict[str, float], *, steps: int, threads: int
) -> float:
    """Train a few steps through the command line and read the rate from its record."""
    config = {
        "encoder": {"name": "pase", "options": {"embedding": 512, "width": numbers["width"]}},
        "workers": workers,
        "weighting": {"name": "equal", "options": {}},
        "augmentation": {"name": "none", "options": {}},
        "recipe": {
            "epochs": 1,
            "steps_per_epoch": steps,
            "batch": numbers["batch"],
            "chunk_seconds": numbers["chunk_seconds"],
            "validation_batches": 0,
            "calibration_batches": 1,
        },
        "seed": 0,
        "corpus": "tones",
    }
    output = folder / "run"
    command = arguments(config, corpus=corpus, output=output, features={"prosody": folder / "prosody.npy"})
    pretrain.main([*command[:-1], str(threads)])
    return float(json.loads((output / "record.json").read_text())["steps_per_second"])


if __name__ == "__main__":
    main()
