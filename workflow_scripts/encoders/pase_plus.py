"""PASE+: PASE with a quasi-recurrent layer and dense skips (Ravanelli et al. 2020; Wu et al. 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.pase import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from workflow_scripts.networks.pase_plus import PasePlus

LABEL = "PASE+"
TRAINABLE = True


class Options(LevelOptions):
    """Options of PASE+."""

    embedding: int = Field(default=512, ge=1)
    """Channels of the output (the paper's 512; the PASE code: 256)."""
    width: float = Field(default=1.0, gt=0)
    """Factor on the channels of the blocks and of the recurrent layers."""
    rnn_layers: int = Field(default=1, ge=1)
    """Number of recurrent layers (1 in PASE+.cfg)."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return SAMPLE_RATE


def hop(options: Options) -> int:
    """Return the samples between two frames."""
    return HOP


def build(options: Options) -> PasePlus:
    """Build an untrained PASE+."""
    from workflow_scripts.networks.pase_plus import PasePlus

    return PasePlus(embedding=options.embedding, width=options.width, rnn_layers=options.rnn_layers)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Return the options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    from workflow_scripts.networks import blocks

    if not any(key.startswith("denseskips.") for key in shapes):
        raise UserError("it has no dense skips, so it is no PASE+: import it as pase")
    layers = sum(key.startswith("rnn.layers.") and key.endswith(".linear.weight") for key in shapes)
    return Options(
        embedding=shapes["W.weight"][0],
        width=blocks.read_width(shapes),
        rnn_layers=max(1, layers),  # with none, the missing tensor is named when the weights are compared
    )
