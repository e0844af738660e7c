"""Cost of a training step of source separation and of joint networks with both back ends, compared with a plain loop.

The plain loop is eager code around the same network, with the weight layout of torch: a batch in memory, forward,
backward, Adam. Prelude also reads, crops and mixes its batches, and follows the recipe or the trial. Each variant is
measured in a separate process, so that peaks of memory are separate; a first step is not counted.

python -m tests.benchmarks.bench_separation [--steps N] [--threads N] [--width W] [--size tiny|small|base]
    [--nets NET ...]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.corpora import write_corpus
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.encoders import unet
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.evaluation.task import EvaluationTask, TrialStore
from workflow_scripts.evaluation.trial_models import MapsModel
from workflow_scripts.levels import registry
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.head_interfaces import MapsHead
from workflow_scripts.networks.sizes.spectrogram import SAMPLE_RATE
from workflow_scripts.pretraining.device import best_device
from workflow_scripts.pretraining.run import Pretraining
from workflow_scripts.workers.separation import SOURCES

WINDOW = 61792  # samples: 384 frames
CLASSES = 50
#: clips per step, as in the authors' code
BATCHES = {"U-Net": 8, "U-Net and Short-Chunk CNN": 16, "U-Net and AST": 4}
Network = TypeVar("Network", bound=nn.Module)
HEADS = {"U-Net and Short-Chunk CNN": "short_chunk_cnn", "U-Net and AST": "ast"}


def main() -> None:
    """Print seconds of audio per second, peak memory, and their ratios to the plain loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--width", type=float, default=1.0, help="of the U-Net and the CNN")
    parser.add_argument("--size", default="base", help="of the AST")
    parser.add_argument("--nets", nargs="+", choices=list(BATCHES), default=list(BATCHES))
    parser.add_argument("--only", choices=[f"{net}/{way}" for net in BATCHES for way in ("prelude", "plain")])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.only:
        print(json.dumps(measure(arguments)))
        return
    for net in arguments.nets:
        batch = BATCHES[net]
        results = {way: _measure_in_subprocess(arguments, f"{net}/{way}") for way in ("plain", "prelude")}
        for way, (seconds, peak) in results.items():
            audio = batch * WINDOW / SAMPLE_RATE / seconds
            print(
                f"{net}, {batch} windows, {arguments.threads} threads, {best_device()}, {way}: "
                f"{seconds:.2f} s per step, {audio:.2f} s of audio/s, peak memory {peak / 1e9:.2f} GB",
                flush=True,
            )
        plain, prelude = results["plain"], results["prelude"]
        print(
            f"{net}: prelude / plain {prelude[0] / plain[0]:.2f} in time, {prelude[1] / plain[1]:.2f} in memory",
            flush=True,
        )


def _measure_in_subprocess(arguments: argparse.Namespace, only: str) -> tuple[float, float]:
    numbers = [f"--{name}={getattr(arguments, name)}" for name in ("steps", "threads", "width", "size")]
    command = [sys.executable, "-m", "tests.benchmarks.bench_separation", *numbers, f"--only={only}"]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(process.stdout.splitlines()[-1])
    return seconds, peak


def measure(arguments: argparse.Namespace) -> tuple[float, float]:
    """Measure the seconds per step, and the peak memory in bytes, of the GPU or else of the process."""
    net, way = arguments.only.split("/")
    batch = BATCHES[net]
    with tempfile.TemporaryDirectory() as name:
        if way == "plain":
            seconds = seconds_per_step(
                _build_plain_separation(arguments) if net == "U-Net" else _build_plain_joint(arguments, net),
                steps=arguments.steps,
            )
        elif net == "U-Net":
            seconds = _time_pretraining(arguments, Path(name), batch=batch)
        else:
            seconds = _time_evaluation(arguments, Path(name), net)
    if best_device().type == "cuda":
        return seconds, torch.cuda.max_memory_allocated()
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seconds_per_step(step: Callable[[], Tensor], *, steps: int) -> float:
    """Measure the seconds per step, after one that is not counted; reading the loss waits for a GPU."""
    step().item()
    started = time.perf_counter()
    for _ in range(steps):
        loss = step()
    loss.item()
    return (time.perf_counter() - started) / steps


def _with_contiguous_weights(module: Network) -> Network:
    return module.to(best_device(), memory_format=torch.contiguous_format)


def _build_plain_separation(arguments: argparse.Namespace) -> Callable[[], Tensor]:
    encoder = _with_contiguous_weights(unet.build(unet.Options(width=arguments.width))).train()
    target = 0.1 * torch.randn(BATCHES["U-Net"], WINDOW, device=best_device())
    mixture = target + 0.1 * torch.randn_like(target)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    window = torch.hann_window(512, device=best_device())

    def step() -> Tensor:
        stft = torch.stft(mixture, 512, 160, window=window, center=False, return_complex=True).transpose(1, 2)
        mask = encoder.network(spectrogram.unet_log10(stft.abs()[:, None, :, :-1])).mask
        estimate = spectrogram.invert_stft(spectrogram.apply_masks(stft, mask)[:, 0])
        return _update((estimate - target).abs().mean(), optimizer)

    return step


def _build_plain_joint(arguments: argparse.Namespace, net: str) -> Callable[[], Tensor]:
    encoder = _with_contiguous_weights(unet.build(unet.Options(width=arguments.width))).train()
    head = _with_contiguous_weights(_build_head(arguments, net)).train()
    audio = 0.1 * torch.randn(BATCHES[net], WINDOW, device=best_device())
    labels = (torch.rand(BATCHES[net], CLASSES, device=best_device()) < 0.1).float()
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-4)

    def step() -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(head(encoder.maps(audio)), labels)
        return _update(loss, optimizer)

    return step


def _update(loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _build_head(arguments: argparse.Namespace, net: str) -> MapsHead:
    level = registry.load("head", HEADS[net])
    cnn = HEADS[net] == "short_chunk_cnn"
    options = {"width": arguments.width} if cnn else {"size": arguments.size, "imagenet": False}
    encoder = unet.build(unet.Options(width=arguments.width)).eval()
    with torch.no_grad():
        decoder = [maps.shape[1] for maps in encoder.maps(torch.zeros(1, WINDOW)).decoder]
    return level.build(registry.options(level, options), sources=1, decoder=decoder, outputs=CLASSES)


def _time_pretraining(arguments: argparse.Namespace, folder: Path, *, batch: int) -> float:
    corpus = write_corpus(folder / "tones", clips=30, seconds=8.0, task="unlabelled", stems=SOURCES)
    config = {
        "encoder": {"name": "unet", "options": {"width": arguments.width}},
        "workers": {"separation": {"source": "vocals"}},
        "weighting": {"name": "equal", "options": {}},
        "augmentation": {"name": "none", "options": {}},
        "recipe": {
            "epochs": 2,
            "steps_per_epoch": arguments.steps,
            "batch": batch,
            "chunk_seconds": WINDOW / SAMPLE_RATE,
            "encoder_learning_rate": 0.001,
            "worker_learning_rate": 0.0005,
            "schedule": "poly",
            "validation_batches": 0,
            "calibration_batches": 1,
            "compile": False,
        },
        "seed": 0,
        "corpus": "tones",
    }
    run = Pretraining(
        config=config, corpus=corpus, features={}, output=folder / "run", code="c0de", device=best_device()
    )
    trainer = run.build_trainer()
    first_epoch = trainer.run(epochs=1).throughput.step_seconds
    return (trainer.run().throughput.step_seconds - first_epoch) / arguments.steps


def _time_evaluation(arguments: argparse.Namespace, folder: Path, net: str) -> float:
    batch = BATCHES[net]
    corpus = write_corpus(
        folder / "tones", clips=batch * 2, seconds=8.0, classes=CLASSES, task="multilabel", sample_rate=16000
    )
    model = MapsModel(_build_cell(arguments, corpus, folder, net), 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    rows = LabelSubset(np.arange(batch))

    def step() -> Tensor:
        model.train_epoch(optimizer, rows, epoch=0)
        return next(model.parameters()).sum()

    return seconds_per_step(step, steps=arguments.steps)


def _build_cell(arguments: argparse.Namespace, corpus: Corpus, folder: Path, net: str) -> EvaluationTask:
    def no_embeddings(inputs: int) -> nn.Module:
        raise AssertionError(inputs)

    return EvaluationTask(
        corpus=corpus,
        build_head=no_embeddings,
        build_maps_head=lambda sources, decoder: _build_head(arguments, net),
        fraction=1.0,
        trials=1,
        settings=EvaluationProtocol(batch=BATCHES[net]),
        device=best_device(),
        store=TrialStore(folder / "trials", digest="digest"),
        build_encoder=lambda seed: unet.build(unet.Options(width=arguments.width)),
    )


if __name__ == "__main__":
    main()
