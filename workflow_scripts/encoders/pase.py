"""PASE: a Sinc convolution and seven convolution blocks (Pascual et al. 2019; Wu et al. 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.pase import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from workflow_scripts.networks.pase import Pase

LABEL = "PASE"
TRAINABLE = True


class Options(LevelOptions):
    """Options of PASE."""

    embedding: int = Field(default=512, ge=1)
    """Channels of the output (the paper's 512; PASE.cfg: 100)."""
    width: float = Field(default=1.0, gt=0)
    """Factor on the channels of the blocks."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return SAMPLE_RATE


def hop(options: Options) -> int:
    """Return the samples between two frames."""
    return HOP


def build(options: Options) -> Pase:
    """Build an untrained PASE."""
    from workflow_scripts.networks.pase import Pase

    return Pase(embedding=options.embedding, width=options.width)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Return the options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    from workflow_scripts.networks import blocks

    if any(key.startswith("denseskips.") for key in shapes):
        raise UserError("it has dense skips, so it is a PASE+: import it as pase_plus")
    return Options(embedding=shapes["W.weight"][0], width=blocks.read_width(shapes))
