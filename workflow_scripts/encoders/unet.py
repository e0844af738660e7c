"""The separation U-Net for one source, or for vocals, other, drums and bass at once (Garoufis et al. 2024, section 2).

Pre-trained by a worker that separates as many sources. Heads may read more than an embedding of it: its maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.spectrogram import HOP, SAMPLE_RATE
from workflow_scripts.networks.sizes.unet import FRAMES, MOMENTUM

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.networks.unet_encoder import UNetEncoder

LABEL = "U-Net"
TRAINABLE = True
MAPS = True  # heads may read them
VARIANT_OPTIONS = ("sources", "pooling")


class Options(LevelOptions):
    """Options of the U-Net."""

    sources: Literal[1, 4] = 1
    """Number of sources that the network has masks for."""
    pooling: Literal["max", "average"] = "max"
    """Pooling on the way down; the MSSPT code takes maxima for one source and averages for four ("Multiple")."""
    width: float = Field(default=1.0, gt=0)
    """Factor on the channels of every block."""
    momentum: float = Field(default=MOMENTUM, gt=0, le=1)
    """Share of the last batch in the running statistics of batch normalisation. Keras's 0.01 is for hundreds of steps
    an epoch: where a joint network learns from few clips, validation, which uses these statistics, lags behind."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return SAMPLE_RATE


def hop(options: Options) -> int:
    """Return the samples between two frames."""
    return HOP


def separates(options: Options) -> int:
    """Return the number of sources that the network has masks for."""
    return options.sources


def build(options: Options) -> UNetEncoder:
    """Build an untrained U-Net."""
    from workflow_scripts.networks.unet_encoder import UNetEncoder

    return UNetEncoder(
        sources=options.sources,
        pooling=options.pooling,
        width=options.width,
        momentum=options.momentum,
        crop_frames=FRAMES,
    )


def official_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the U-Net's weights among those of a file of the MSSPT code."""
    from workflow_scripts.networks import msspt

    return msspt.select_separator_weights(state)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Return the options of the network whose state dict has these shapes.

    No tensor shows the pooling; it is that of the separation networks of the MSSPT code. Raises `UserError` if it is
    another network, `LookupError` where a tensor is missing or has too few axes.
    """
    from workflow_scripts.networks import msspt

    sources = msspt.read_sources(shapes)
    pooling = "max" if sources == 1 else "average"
    return Options.model_validate({"sources": sources, "pooling": pooling, "width": msspt.read_width(shapes)})
