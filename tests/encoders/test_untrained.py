"""An untrained encoder of the config is the network of its level with the initial weights of a seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from tests.encoders.external import EXAMPLES
from workflow_scripts.checkpoints.encoder_file import build_encoder
from workflow_scripts.levels import registry

CONFIG = Path(__file__).parent.parent.parent / "config" / "config.yaml"
ENCODERS = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["encoders"]
ENTRIES = {name: registry.entry(ENCODERS, name) for name in ENCODERS}
#: each floor of the config and the encoder that it is the untrained version of
FLOORS = {
    "random": "pase",
    "random_plus": "pase_plus",
    "random_samplecnn": "samplecnn",
    "random_samplecnn_16000": "samplecnn_16000",
    "random_samplecnn_12000": "samplecnn_12000",
    "random_samplecnn_8000": "samplecnn_8000",
    "random_cpc": "cpc",
    "random_unet": "unet",
    "random_unet_multiple": "unet_multiple",
}


def test_these_are_all_untrained_encoders_of_the_config() -> None:
    assert {name for name, entry in ENTRIES.items() if not entry.trained} == set(FLOORS)


@pytest.mark.parametrize(("floor", "original"), FLOORS.items())
def test_a_floor_is_the_network_of_the_trained_encoder(floor: str, original: str) -> None:
    networks = []
    for entry in (ENTRIES[floor], ENTRIES[original]):
        choice = {"name": entry.level, "options": entry.options | {"width": 0.05}}
        networks.append(build_encoder(choice, seed=3, encoder_file=None))
    states = [network.state_dict() for network in networks]
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)
    assert ENTRIES[original].trained
    assert registry.load("encoder", ENTRIES[floor].level).TRAINABLE


@pytest.mark.parametrize("name", ENTRIES)
def test_facts_are_those_of_the_network(name: str, tmp_path: Path) -> None:
    entry = ENTRIES[name]
    level = registry.load("encoder", entry.level)
    small = {"width": 0.125} if "width" in level.Options.model_fields and level.TRAINABLE else {}
    if registry.fact(level, "EXTERNAL"):
        small = EXAMPLES[entry.level](tmp_path)
    options = registry.options(level, entry.options | small)
    network = level.build(options)
    assert (level.sample_rate(options), level.hop(options)) == (network.sample_rate, network.hop)
    assert getattr(level, "separates", lambda _: 0)(options) == network.separates
    assert getattr(level, "context_size", lambda _: 0)(options) == network.context_size
    assert getattr(level, "EMBEDDING", network.pooled_size) == network.pooled_size
    assert getattr(level, "MAPS", False) == hasattr(network, "maps")
