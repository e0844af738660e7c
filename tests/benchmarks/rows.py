"""Rows of the table of benchmarks: what users wait for, each beside an anchor that does the least that it needs.

Each group yields its rows at a scale, and makes what they need in a folder.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import soxr
import torch
from torch import Tensor, nn

from tests.benchmarks import bench_evaluate, bench_features, bench_statistics
from tests.benchmarks.bench_clmr import WINDOW
from tests.benchmarks.bench_pretrain import FEATURES
from tests.checkout import REPOSITORY
from tests.corpora import write_corpus
from tests.pretraining_runs import write_features
from tests.test_start_up import ALLOWED, COMMANDS
from workflow_scripts.audio.build import CorpusSpec, build_corpus
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.datasets import openmic
from workflow_scripts.features.frames import HOP, N_FFT
from workflow_scripts.networks.sizes.spectrogram import frame_count, sample_count
from workflow_scripts.pretraining.run import Pretraining
from workflow_scripts.pretraining.trainer import Trainer
from workflow_scripts.twins import openmic as twin
from workflow_scripts.workers.separation import SOURCES

#: as many jobs as config.yaml has
TRIVIAL_WORKFLOW = """
rule all:
    input: expand("{{n}}.txt", n=range({jobs}))
rule make:
    output: "{{n}}.txt"
    shell: "true"
"""
CPU = torch.device("cpu")
CLIP_SECONDS = 3.0
MOST_EPOCHS = 1000  # of a run that is trained epoch by epoch, as long as it is measured
SEPARATED = frame_count(2 * 16000)  # frames of two seconds


@dataclass(frozen=True, kw_only=True)
class Row:
    """Work and its anchor, measured `rounds` times in turn, after a first time that does not count if `warm`."""

    name: str
    anchor: str
    work: Callable[[], object]
    reference: Callable[[], object]
    rounds: int = 2  # of rows of some seconds
    warm: bool = True


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes of the work."""

    commands: tuple[str, ...] = tuple(COMMANDS)
    config: tuple[str, ...] = ()  # over config.yaml, of the plan
    jobs: int = 667
    width: float = 1.0  # of PASE and of the U-Net
    batch: int = 8
    steps: int = 2
    clips: int = 200  # to evaluate on, and to prepare
    feature_clips: int = 16
    studies: int = 20  # of 50 methods on three data sets each: 3,000 cells
    methods: int = 50


SMALLEST = Scale(
    commands=("status",),
    config=("--configfile", "config/smoke.yaml"),
    jobs=100,
    width=0.05,
    batch=2,
    steps=1,
    clips=20,
    feature_clips=2,
    studies=1,
    methods=2,
)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its ended children, in which other load does not count."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _run(*command: str) -> None:
    subprocess.run([sys.executable, *command], cwd=REPOSITORY, check=True, capture_output=True)


def start_up(scale: Scale, _: Path) -> Iterator[Row]:
    """Yield the import of each command's module, beside the libraries without which none of its kind works."""
    for command in scale.commands:
        libraries = "torch" if command in ALLOWED["torch"] else "numpy, pydantic"
        yield Row(
            name=f"start-up of {command}",
            anchor=f"import {libraries}",
            work=lambda command=command: _run("-c", f"import workflow_scripts.{command}"),
            reference=lambda libraries=libraries: _run("-c", f"import {libraries}"),
            warm=False,
        )


def planning(scale: Scale, folder: Path) -> Iterator[Row]:
    """Yield a dry run of the paper's config, beside one of as many jobs that Snakemake alone plans."""
    file = folder / "Snakefile"
    file.write_text(TRIVIAL_WORKFLOW.format(jobs=scale.jobs), encoding="utf-8")
    dry_run = ("-m", "snakemake", "--dry-run", "--quiet", "rules")
    yield Row(
        name="dry run of the paper's plan",
        anchor=f"dry run of {scale.jobs} trivial jobs",
        work=lambda: _run(*dry_run, *scale.config),
        reference=lambda: _run(*dry_run, "--snakefile", str(file), "--directory", str(folder)),
        warm=False,
    )


def training(scale: Scale, folder: Path) -> Iterator[Row]:
    """Yield training steps of each system, beside a plain eager loop of the same networks on a batch in memory."""
    waveform, clmr = {"waveform": {"width": scale.width}}, {"contrastive": {}}
    pase = {"embedding": 512, "width": scale.width}
    separated = sample_count(SEPARATED) / 16000
    systems = {
        "PASE": ("pase", pase, FEATURES | waveform, "none", 1.0, 16000),
        "PASE+": ("pase_plus", pase, FEATURES | waveform, "none", 1.0, 16000),
        "CLMR": ("samplecnn", {}, clmr, "clmr", WINDOW / 22050, 22050),
        "U-Net": ("unet", {"width": scale.width}, {"separation": {"source": "vocals"}}, "none", separated, 16000),
    }
    for name, (encoder, options, workers, augmentation, seconds, rate) in systems.items():
        stems = SOURCES if name == "U-Net" else ()
        corpus = write_corpus(
            folder / name, clips=40, seconds=seconds + 1, task="unlabelled", sample_rate=rate, stems=stems
        )
        features = {"prosody": folder / f"{name}.npy"} if "prosody" in workers else {}
        for file in features.values():
            write_features(file, corpus, channels=4)
        recipe = {
            "epochs": MOST_EPOCHS,
            "steps_per_epoch": scale.steps,
            "batch": scale.batch,
            "chunk_seconds": seconds,
            "encoder_learning_rate": 0.001,
            "worker_learning_rate": 0.0005,
            "schedule": "constant",
            "validation_batches": 0,
            "calibration_batches": 1,
            "compile": False,  # takes longer than the steps
        }
        config = {
            "encoder": {"name": encoder, "options": options},
            "workers": workers,
            "weighting": {"name": "equal", "options": {}},
            "augmentation": {"name": augmentation, "options": {}},
            "recipe": recipe,
            "seed": 0,
            "corpus": "tones",
        }
        trainers = [
            Pretraining(
                config=config,
                corpus=corpus,
                features=features,
                output=folder / f"{name} {way}",
                code="c0de",
                device=CPU,
            ).build_trainer()
            for way in ("run", "plain")
        ]
        yield Row(
            name=f"{scale.steps} training steps of {name}",
            anchor="plain eager loop of the same networks",
            work=_train_epoch_by_epoch(trainers[0]),
            reference=_build_plain_loop(trainers[1], steps=scale.steps),
        )


def _train_epoch_by_epoch(trainer: Trainer) -> Callable[[], object]:
    epochs = iter(range(1, MOST_EPOCHS))
    return lambda: trainer.run(epochs=next(epochs))


def _build_plain_loop(trainer: Trainer, *, steps: int) -> Callable[[], None]:
    """Build a loop of eager steps of a trainer's networks, in torch's own layout of weights, on one batch."""
    networks = nn.ModuleList([trainer.encoder, *trainer.workers.values()]).train()
    networks.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.Adam(networks.parameters(), lr=0.0005)
    stored = next(iter(trainer.loader.batches([(trainer.sampler.training_crops(0), 0)])))

    def loop() -> None:
        for _ in range(steps):
            batch = replace(stored, _once={})  # targets are computed anew in each step
            frames: Tensor = trainer.encoder(batch.audio)
            loss = torch.stack([worker.loss(frames, batch) for worker in trainer.workers.values()]).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return loop


def frozen_evaluation(scale: Scale, folder: Path) -> Iterator[Row]:
    """Yield ten frozen trials at four fractions, beside one trial at one; each with one encoding."""
    corpus = write_corpus(folder / "evaluated", clips=scale.clips, seconds=CLIP_SECONDS, classes=9, task="multiclass")

    def evaluate(trials: int, fractions: tuple[str, ...]) -> None:
        # a small encoder, whose work would otherwise hide that of the heads
        width = scale.width / 4
        bench_evaluate.measure_cpu_seconds(folder, corpus, width=width, trials=trials, fractions=fractions)

    yield Row(
        name="ten frozen trials at four fractions",
        anchor="one trial at one fraction",
        work=lambda: evaluate(10, bench_evaluate.FRACTIONS),
        reference=lambda: evaluate(1, ("100pct",)),
    )


def features(scale: Scale, _: Path) -> Iterator[Row]:
    """Yield all features but pitch, beside librosa's and beside the bare Fourier transform in float64."""
    clips = bench_features.synthesise_clips(scale.feature_clips)
    batch, window = torch.from_numpy(np.stack(clips)), torch.hann_window(N_FFT, dtype=torch.float64)

    def transform() -> Tensor:
        return torch.stft(batch.double(), N_FFT, HOP, window=window, return_complex=True)

    anchors: dict[str, Callable[[], Any]] = {
        "librosa": lambda: [bench_features.compute_single(clip) for clip in clips],
        "the bare transform": transform,
    }
    for name, reference in anchors.items():
        yield Row(
            name=f"features, against {name}",
            anchor=name,
            work=lambda: bench_features.compute_batched(batch),
            reference=reference,
            rounds=5,
        )


def preparation(scale: Scale, folder: Path) -> Iterator[Row]:
    """Yield the preparation of clips, beside the bare decoding and resampling of the same files."""
    root, outputs = folder / "twin", iter(range(MOST_EPOCHS))
    twin.write(root, TwinOptions(clips=scale.clips, clip_seconds=CLIP_SECONDS))
    index = openmic.index(root, openmic.Options())
    spec = CorpusSpec(dataset="bench", source="twin", sample_rate=16000)

    def decode() -> None:
        for path in index.clips["path"]:
            samples, rate = soundfile.read(root / path, dtype="float32", always_2d=True)
            soxr.resample(samples.mean(axis=1), rate, spec.sample_rate)

    yield Row(
        name=f"preparing {scale.clips} clips",
        anchor="decoding and resampling",
        work=lambda: build_corpus(index, root=root, output=folder / f"corpus{next(outputs)}", spec=spec, processes=1),
        reference=decode,
    )


def statistics(scale: Scale, folder: Path) -> Iterator[Row]:
    """Yield statistics and tables of cells of ten trials, beside reading the trials."""
    results = folder / "results"
    results.mkdir()
    cells = bench_statistics.write_results(results, studies=scale.studies, methods=scale.methods)

    def compute() -> None:
        manifest, output = ("--manifest", str(results / "plan.json")), str(folder / "statistics")
        _run("-m", "workflow_scripts.aggregate", *manifest, "--output", output)
        tables = ("--statistics", output, "--output", str(folder / "tables"))
        _run("-m", "workflow_scripts.tabulate", *manifest, *tables)

    yield Row(
        name=f"statistics and tables of {cells:,} cells",
        anchor="reading the trials",
        work=compute,
        reference=lambda: pd.concat([pd.read_csv(path) for path in sorted(results.rglob("trials.csv"))]),
        rounds=1,  # takes longer than all others
        warm=False,
    )


GROUPS: dict[str, Callable[[Scale, Path], Iterator[Row]]] = {
    "start-up": start_up,
    "planning": planning,
    "training": training,
    "evaluation": frozen_evaluation,
    "features": features,
    "preparation": preparation,
    "statistics": statistics,
}
