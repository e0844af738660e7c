"""The CPC encoder: strided convolutions and a recurrent context (Spijkervet 2021, section 5.2).

The worker `predictive_coding` predicts later frames from the context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks import widths
from workflow_scripts.networks.sizes.cpc import CONTEXT, FILTERS, HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.networks.cpc import CpcEncoder

LABEL = "CPC"
TRAINABLE = True
CONVOLUTIONS = True

CROP_LENGTH = 59049  # samples: evaluated by the same crops as SampleCNN


class Options(LevelOptions):
    """Options of the CPC encoder."""

    width: float = Field(default=1.0, gt=0)
    """Factor on the filters (512) and the size of the context (256)."""
    pooled: Literal["context", "both"] = "context"
    """Channels whose mean over time is a clip's embedding: those of the context, or of both context and frames. The
    thesis states that the 256 values of the context are "pooled to 512", which cannot be."""
    initialisation: Literal["default", "kaiming"] = "default"
    """First values of the convolutions: PyTorch's, as in the code, with which the signal fades from layer to layer and
    training on quiet recordings may stay at chance; or He's normal distribution, which section 5.3 of the thesis
    names."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return SAMPLE_RATE


def hop(options: Options) -> int:
    """Return the samples between two frames."""
    return HOP


def context_size(options: Options) -> int:
    """Return the channels of the context."""
    return widths.scale_channels((CONTEXT,), options.width)[0]


def build(options: Options) -> CpcEncoder:
    """Build an untrained CPC encoder."""
    from workflow_scripts.networks.cpc import CpcEncoder

    return CpcEncoder(
        filters=widths.scale_channels((FILTERS,), options.width)[0],
        context=context_size(options),
        pools_context_only=options.pooled == "context",
        crop_length=CROP_LENGTH,
        initialisation=options.initialisation,
    )


def official_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's weights among those of a file of the CLMR code."""
    from workflow_scripts.networks import clmr

    return clmr.select_cpc_weights(state)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Return the options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    filters = shapes["encoder.seq.layer-0.0.weight"][0]
    context = shapes["autoregressor.autoregressor.weight_hh_l0"][1]
    width = widths.find_width((filters, context), channels=(FILTERS, CONTEXT))
    if width is None:
        raise UserError(f"it has {filters} filters and a context of {context}, which no width of CPC gives")
    return Options(width=width)
