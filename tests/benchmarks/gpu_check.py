"""Check of a GPU in at most ten minutes: the same results as on the CPU, speed, memory, resuming, two GPUs.

python -m tests.benchmarks.gpu_check [--output FILE.json]

Without a GPU it runs to its end at tiny sizes, to show what would be measured, and judges nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch.nn.utils import parameters_to_vector

from tests.benchmarks.bench_pretrain import Bench, all_six
from tests.corpora import write_corpus
from tests.pretraining_runs import write_features
from tests.scenarios.cells import cell, informative
from workflow_scripts.checkpoints.encoder_file import build_encoder
from workflow_scripts.core import files
from workflow_scripts.levels import registry
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.pretraining.device import best_device, device_name
from workflow_scripts.pretraining.run import Pretraining
from workflow_scripts.pretraining.trainer import Trainer
from workflow_scripts.scenarios import frozen
from workflow_scripts.workers._feature_regression import FeatureWorker

OUTPUT = Path("results/gpu_check.json")
LIMIT = 480  # seconds after which no other part begins; the longest takes less than two minutes
CPU = torch.device("cpu")
#: sizes of a run on a GPU (the paper's recipe), and of a rehearsal on a CPU
PAPER = {"width": 1.0, "batch": 32, "chunk_seconds": 2.0}
TINY = {"width": 0.05, "batch": 2, "chunk_seconds": 0.25}
WARM_STEPS, TIMED_STEPS = 5, 40
RUN_STEPS = 1000  # of a run of the product: long enough that compiling hardly matters
# float32 sums in another order differ by about 1e-6 in each of some dozen layers
TOLERANCE = 1e-3
SPEEDUP, UTILISATION, WAITING = 3.0, 0.40, 0.05  # the targets


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A number with its target; `target` None: it has none, `value` None: not measured, see `note`."""

    what: str
    value: float | None
    unit: str = ""
    target: float | None = None
    highest: bool = False  # whether the target is the highest value allowed
    note: str = ""
    failed: bool = False

    @property
    def verdict(self) -> str:
        """Return whether the target is met."""
        if self.failed:
            return "FAILED"
        if self.value is None or self.target is None:
            return ""
        met = self.value <= self.target if self.highest else self.value >= self.target
        return "met" if met else "BELOW TARGET"

    def line(self) -> str:
        """Return a row of the table."""
        value = "not measured" if self.value is None else f"{self.value:.4g} {self.unit}".strip()
        target = "" if self.target is None else f"{'<=' if self.highest else '>='} {self.target:g}"
        return f"{self.what:<52} {value:>24}  {target:<10} {self.verdict} {self.note}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Check:
    """Device, data and sizes of a check."""

    device: torch.device
    bench: Bench
    sizes: dict[str, float]

    @property
    def rehearsal(self) -> bool:
        """Whether there is no GPU."""
        return self.device.type == "cpu"

    def trainer(self, name: str, **recipe: object) -> Trainer:
        """Build a trainer of the network with all six workers."""
        config = self.bench.config(all_six(self.sizes), self.sizes, precision="float32", **recipe)
        return Pretraining(
            config=config,
            corpus=self.bench.corpus,
            features=self.bench.features,
            output=self.bench.folder / name,
            code="c0de",
            device=self.device,
        ).build_trainer()

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if not self.rehearsal:
            torch.cuda.synchronize(self.device)


def compare_networks(check: Check) -> Iterator[Measurement]:
    """Compare the frames of each network on the device with those on the CPU."""
    for name in registry.names("encoder"):
        level = registry.load("encoder", name)
        if registry.fact(level, "EXTERNAL"):
            continue
        small = {"width": TINY["width"]} if check.rehearsal and "width" in level.Options.model_fields else {}
        network = build_encoder({"name": name, "options": small}, seed=0, encoder_file=None).eval()
        samples = network.crop_length or network.sample_rate
        audio = 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
        # TF32, torch's default for convolutions, would round their inputs to ten bits
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            expected = network(audio)
            frames = network.to(check.device)(audio.to(check.device)).cpu()
        yield _difference(f"frames of {name} against the CPU", frames, expected)


def compare_features(check: Check) -> Iterator[Measurement]:
    """Compare the targets of each worker on the device with those on the CPU."""
    audio = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    for name in registry.names("worker"):
        level = registry.load("worker", name)
        worker = level.build(registry.options(level, {}), embedding_size=512)
        if level.PRECOMPUTED or not isinstance(worker, FeatureWorker):
            continue
        expected = worker.target(Batch(clean=audio, audio=audio))
        moved = audio.to(check.device)
        target = worker.to(check.device).target(Batch(clean=moved, audio=moved)).cpu()
        yield _difference(f"targets of {name} against the CPU", target, expected)


def _difference(what: str, values: torch.Tensor, expected: torch.Tensor) -> Measurement:
    distance = float((values - expected).abs().max() / expected.abs().max())
    return Measurement(what=what, value=distance, unit="of the largest", target=TOLERANCE, highest=True)


def measure_training(check: Check) -> Iterator[Measurement]:
    """Measure training steps of a plain loop, and of the product in float32, bf16 and compiled."""
    plain = _time_plain_loop(check)
    yield Measurement(what="plain eager loop, float32", value=plain, unit="steps/s")
    bench = check.bench if check.rehearsal else replace(check.bench, steps=RUN_STEPS)
    for precision, compiled in (("float32", False), ("bf16", False), ("float32", True), ("bf16", True)):
        title = f"training, {precision}{', compiled' if compiled else ''}"
        if compiled and check.rehearsal:
            yield Measurement(what=title, value=None, note="compiling takes a minute on a CPU")
            continue
        config = bench.config(all_six(check.sizes), check.sizes, precision=precision, compile=compiled)
        record = bench.record(config)
        best = precision == "bf16" and compiled
        yield Measurement(what=title, value=record["steps_per_second"], unit="steps/s")
        yield Measurement(
            what=f"{title}: of the plain loop",
            value=record["steps_per_second"] / plain,
            unit="times",
            target=SPEEDUP if best else None,
        )
        memory, share = record["peak_device_memory_bytes"], record["model_flops_utilisation"]
        yield Measurement(what=f"{title}: memory", value=memory and memory / 1e9, unit="GB")
        judged = best and "H200" in device_name(check.device)
        yield Measurement(
            what=f"{title}: share of the peak FLOP/s", value=share, target=UTILISATION if judged else None
        )
        yield Measurement(
            what=f"{title}: waiting for data", value=record["waiting_share"], target=WAITING, highest=True
        )


def _time_plain_loop(check: Check) -> float:
    """Return the steps per second of the same networks on a batch that is there already, as a tutorial has it."""
    trainer = check.trainer("plain")
    (batch,) = trainer.loader.batches([(trainer.sampler.training_crops(0), 0)])
    networks = torch.nn.ModuleList([trainer.encoder, *trainer.workers.values()])
    optimizer = torch.optim.Adam(networks.parameters())
    warm, timed = (1, 2) if check.rehearsal else (WARM_STEPS, TIMED_STEPS)
    started = 0.0
    for step in range(warm + timed):
        if step == warm:
            check.synchronize()
            started = time.perf_counter()
        optimizer.zero_grad()
        fresh = Batch(clean=batch.clean, audio=batch.audio, precomputed=batch.precomputed)  # computes targets anew
        frames = trainer.encoder(fresh.audio)
        torch.stack([worker.loss(frames, fresh) for worker in trainer.workers.values()]).sum().backward()
        optimizer.step()
    check.synchronize()
    return timed / (time.perf_counter() - started)


def measure_trials(check: Check) -> Iterator[Measurement]:
    """Time ten trials on frozen embeddings."""
    corpus = write_corpus(check.bench.folder / "labelled", clips=30 if check.rehearsal else 1000, seconds=0.1)
    epochs = 2 if check.rehearsal else 50
    numbers = {"batch": 16, "max_epochs": epochs, "patience": epochs}
    inputs = informative(corpus, size=8 if check.rehearsal else 512)
    for device in dict.fromkeys([CPU, check.device]):
        task = cell(corpus, folder=check.bench.folder / "trials", embeddings=inputs, trials=10, **numbers)
        started = time.perf_counter()
        frozen.run(replace(task, device=device))
        yield Measurement(what=f"ten frozen trials, {device.type}", value=time.perf_counter() - started, unit="s")


def compare_resumed(check: Check) -> Iterator[Measurement]:
    """Compare the weights of a run that was resumed with those of one that was not interrupted."""
    numbers = {"epochs": 2, "steps_per_epoch": 2}
    whole = check.trainer("whole", **numbers)
    whole.run()
    check.trainer("resumed", **numbers).run(epochs=1)
    resumed = check.trainer("resumed", **numbers)
    result = resumed.run()
    assert result.resumptions == 1
    weights = [parameters_to_vector(run.encoder.parameters()).detach() for run in (resumed, whole)]
    yield _difference("weights of a resumed run", *weights)


def measure_two_gpus(check: Check) -> Iterator[Measurement]:
    """Train on two GPUs, where there are two."""
    what, gpus = "training on two GPUs, float32", torch.cuda.device_count()
    if gpus < 2:
        yield Measurement(what=what, value=None, note=f"{gpus} GPU here")
        return
    bench = replace(check.bench, steps=TIMED_STEPS)
    config = bench.config(all_six(check.sizes), check.sizes, precision="float32")
    launcher = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "workflow_scripts.pretrain",
    ]
    subprocess.run([sys.executable, *launcher, *bench.command(config)], check=True)
    record = json.loads((bench.folder / "run" / "record.json").read_text())
    assert record["processes"] == 2
    yield Measurement(what=what, value=record["steps_per_second"], unit="steps/s")


PARTS: dict[str, Callable[[Check], Iterator[Measurement]]] = {
    "networks": compare_networks,
    "features": compare_features,
    "training": measure_training,
    "frozen trials": measure_trials,
    "resuming": compare_resumed,
    "two GPUs": measure_two_gpus,
}


def run_check(check: Check) -> Iterator[Measurement]:
    """Yield the measurements of all parts; those that begin too late, or fail, say so."""
    started = time.monotonic()
    for part, measure in PARTS.items():
        if time.monotonic() - started > LIMIT:
            yield Measurement(what=part, value=None, note="left out: the ten minutes are over")
            continue
        try:
            for row in measure(check):
                yield replace(row, target=None) if check.rehearsal else row
        except Exception as error:  # a fault of one part must not hide the others: it is what the check looks for
            yield Measurement(what=part, value=None, note=f"{type(error).__name__}: {error}", failed=True)


def main(argv: list[str] | None = None) -> None:
    """Measure, print a table, write the numbers, and say what is below its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args(argv).output
    device = best_device()
    rehearsal = device.type == "cpu"
    if rehearsal:
        print("No GPU here: this shows what would be measured, at tiny sizes on the CPU. Nothing is judged.")
    rows: list[Measurement] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder / "tones", clips=10 if rehearsal else 100, seconds=3.0, task="unlabelled")
        write_features(folder / "prosody.npy", corpus, channels=4)
        bench = Bench(folder=folder, corpus=corpus, steps=2, threads=0 if not rehearsal else torch.get_num_threads())
        for row in run_check(Check(device=device, bench=bench, sizes=TINY if rehearsal else PAPER)):
            rows.append(row)
            print(row.line(), flush=True)
    content = {"device": device_name(device), "torch": torch.__version__, "rehearsal": rehearsal}
    numbers = [asdict(row) | {"verdict": row.verdict} for row in rows]
    output.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(output, json.dumps(content | {"measurements": numbers}, indent=1) + "\n")
    for verdict in ("FAILED", "BELOW TARGET"):
        if named := [row.what for row in rows if row.verdict == verdict]:
            print(f"{verdict.lower()}: {'; '.join(named)}")
    print(f"written: {output}")


if __name__ == "__main__":
    main()
