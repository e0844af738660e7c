"""Time of a CLMR training step by stage: loading, augmentation, forward, backward, optimizer.

python -m tests.benchmarks.bench_clmr [--batch N] [--steps N] [--threads N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from tests.corpora import write_corpus
from workflow_scripts.augmentations import none
from workflow_scripts.encoders import samplecnn
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.pretraining import optimizers
from workflow_scripts.pretraining.device import best_device
from workflow_scripts.pretraining.run import Pretraining
from workflow_scripts.pretraining.trainer import Trainer

WINDOW = 59049  # samples
SAMPLE_RATE = samplecnn.sample_rate(samplecnn.Options())
LEVEL = {"name": "equal", "options": {}}


@dataclass
class Stages:
    """Seconds by stage of a step."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        self._synchronize()
        started = time.perf_counter()
        yield
        self._synchronize()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def main() -> None:
    """Print the seconds of audio and the samples per second, and the share of each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=48, help="clips per step, two views each (the thesis: 48)")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        trainer = build_trainer(Path(name), batch=arguments.batch)
        stages, views = measure_stages(trainer, steps=arguments.steps), 2 * arguments.batch
        step = sum(stages.values()) / arguments.steps
        print(
            f"{arguments.batch} clips, {views} views of {WINDOW} samples, {arguments.threads} threads, "
            f"{trainer.device}: {step:.2f} s per step, {views * WINDOW / step:,.0f} samples/s, "
            f"{views * WINDOW / SAMPLE_RATE / step:.1f} s of audio/s"
        )
        for stage, seconds in stages.items():
            print(f"{stage}: {seconds / arguments.steps:.3f} s, share {seconds / arguments.steps / step:.3f}")
        computed = stages["forward"] + stages["backward"] + stages["optimiser"]
        print(f"augmentation / (forward, backward and optimiser): {stages['augmentation'] / computed:.3f}")


def build_trainer(folder: Path, *, batch: int) -> Trainer:
    """Build a trainer of CLMR as in the thesis, on tones."""
    corpus = write_corpus(folder / "tones", clips=100, seconds=5.0, task="unlabelled", sample_rate=SAMPLE_RATE)
    config = {
        "encoder": {"name": "samplecnn", "options": {}},
        "workers": {"contrastive": {}},
        "weighting": LEVEL,
        "augmentation": {"name": "clmr", "options": {}},
        "recipe": {
            "epochs": 1,
            "batch": batch,
            "chunk_seconds": WINDOW / SAMPLE_RATE,
            "encoder_learning_rate": 0.0003,
            "worker_learning_rate": 0.0003,
            "schedule": "poly",
            "optimiser": "auto",
            "weight_decay": 1e-6,
            "validation_batches": 0,
            "compile": False,
        },
        "seed": 0,
        "corpus": "tones",
    }
    run = Pretraining(
        config=config, corpus=corpus, features={}, output=folder / "run", code="c0de", device=best_device()
    )
    return run.build_trainer()


def measure_stages(trainer: Trainer, *, steps: int) -> dict[str, float]:
    """Measure the seconds of `steps` steps by stage, after a step that is not counted.

    The stages run one after the other here, whereas training loads the next batches meanwhile.
    """
    parameters = [*trainer.encoder.parameters(), *trainer.workers["contrastive"].parameters()]
    optimizer = optimizers.build(trainer.recipe, parameters, rate=trainer.recipe.learning_rate(encoder=True))
    loader = replace(trainer.loader, augmentation=none.build(none.Options(), sample_rate=SAMPLE_RATE))
    stages = Stages(trainer.device)
    for step in range(-1, steps):
        if step == 0:
            stages = Stages(trainer.device)
        with stages.timed("loading"):
            batch = next(loader.batches([(trainer.sampler.training_crops(step + 1), step + 1)]))
        with stages.timed("augmentation"):
            audio = trainer.loader.augmentation(batch.clean, generator=torch.Generator().manual_seed(step + 1))
        take_step(trainer, Batch(clean=batch.clean, audio=audio, views=batch.views), optimizer, stages)
    return stages.seconds


def take_step(trainer: Trainer, batch: Batch, optimizer: torch.optim.Optimizer, stages: Stages) -> None:
    """Take a training step like the trainer."""
    precision = trainer.autocast_type
    with stages.timed("forward"), torch.autocast(trainer.device.type, dtype=precision, enabled=precision is not None):
        loss = trainer.workers["contrastive"].loss(trainer.encoder(batch.audio), batch)
    with stages.timed("backward"):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
    with stages.timed("optimiser"):
        optimizer.step()


if __name__ == "__main__":
    main()
