"""Training in bf16 stays near training in float32, and networks compile as one graph, or the break is named."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.exc import Unsupported

from tests.test_device_placement import CPU, OWN, build_trainer, corpora, fits, kind, small
from workflow_scripts.checkpoints.encoder_file import build_encoder
from workflow_scripts.levels import registry

__all__ = ["corpora"]  # a fixture

# bf16 has 8 bits: a value is rounded by up to 0.4 % in each of some dozen layers, and weights drift apart in 50 steps
DISTANCE = 0.1
STEPS = {"pase": 50}  # steps of the smallest network; the others take more than a second each for so many
FEW = 3
#: networks that torch.compile runs in several graphs, and the reason; training compiles the others as one
BREAKS = {"cpc": "does not support RNN, GRU, or LSTM", "musicnn": "numpy function"}  # librosa's filters, once


@pytest.mark.parametrize("encoder", OWN)
def test_losses_in_bf16_are_finite_float32_and_near_those_in_float32(
    encoder: str, corpora: Any, tmp_path: Path
) -> None:
    suitable = [name for name in registry.names("worker") if fits(encoder, name, corpora=corpora, folder=tmp_path)]
    assert suitable
    for _, group in itertools.groupby(sorted(suitable, key=kind), key=kind):
        steps = STEPS.get(encoder, FEW)
        build = functools.partial(
            build_trainer, encoder, list(group), corpora=corpora, folder=tmp_path, device=CPU, steps_per_epoch=steps
        )
        exact, rounded = (build(precision=precision) for precision in ("float32", "bf16"))
        require_float32(rounded)
        for row, expected in zip(rounded.run().loss_log.rows, exact.run().loss_log.rows, strict=True):
            assert row.loss == pytest.approx(expected.loss, rel=DISTANCE), row


def require_float32(trainer: Any) -> None:
    """Let the workers assert that their losses are float32 before the trainer converts them."""

    def check(loss: Any, *arguments: Any) -> torch.Tensor:
        value: torch.Tensor = loss(*arguments)
        assert value.dtype == torch.float32
        return value

    for worker in trainer.workers.values():
        worker.loss = functools.partial(check, worker.loss)


@pytest.mark.parametrize("encoder", OWN)
def test_a_network_compiles_as_one_graph_or_its_break_is_named(encoder: str) -> None:
    network = build_encoder({"name": encoder, "options": small("encoder", encoder)}, seed=0, encoder_file=None)
    audio = 0.1 * torch.randn(2, network.crop_length or network.sample_rate)
    torch.compiler.reset()
    # the backend `eager` runs what was traced: tracing is what a break would end, and compiling takes a minute
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    if encoder in BREAKS:
        with pytest.raises(Unsupported, match=BREAKS[encoder]):
            compiled(audio)
        return
    for training in (True, False):
        network.train(training)
        torch.manual_seed(0)
        frames = compiled(audio)
        torch.manual_seed(0)
        torch.testing.assert_close(frames, network(audio), rtol=1e-3, atol=1e-4)
