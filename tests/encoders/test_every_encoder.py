"""The network of every encoder file is what the file and `Encoder` state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.encoders.external import EXAMPLES
from workflow_scripts.levels import registry
from workflow_scripts.networks.interfaces import Encoder


@pytest.mark.parametrize("name", registry.names("encoder"))
def test_the_network_has_the_rate_and_the_frames_that_the_file_states(name: str, tmp_path: Path) -> None:
    level = registry.load("encoder", name)
    assert (name in EXAMPLES) == registry.fact(level, "EXTERNAL")
    options = registry.options(level, EXAMPLES[name](tmp_path) if name in EXAMPLES else {})
    network = level.build(options).eval()
    assert isinstance(network, Encoder)
    assert (network.sample_rate, network.hop) == (level.sample_rate(options), level.hop(options))
    samples = network.crop_length or network.sample_rate
    with torch.no_grad():
        frames = network(torch.rand(2, samples) - 0.5)
        pooled = network.pool(frames)
    assert frames.shape[:2] == (2, network.embedding_size)
    whole, rounded_up = samples // network.hop, -(-samples // network.hop)
    if network.crop_length is None:
        assert frames.shape[2] in (whole, rounded_up)
    else:  # an STFT over a crop of fixed windows has no frame for its edges
        assert 0 < frames.shape[2] <= rounded_up
    assert pooled.shape == (2, network.pooled_size)
    assert torch.isfinite(pooled).all()
    assert any(parameter.requires_grad for parameter in network.parameters()) == level.TRAINABLE
