"""The separation U-Net for vocals, other, drums and bass at once (Garoufis et al. 2024, "Multiple").

It differs from `unet` in its four masks and in pooling by the mean, as the MSSPT code does. Pre-trained by
`separation_multiple`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.encoders import unet
from workflow_scripts.networks import msspt

TRAINABLE = True
SAMPLE_RATE = 16000
HOP = unet.HOP  # samples
MAPS = True  # heads may read them
SEPARATES = 4  # sources


@dataclass(frozen=True, kw_only=True)
class Options(unet.Options):
    """The options of `unet`."""


def build(options: Options) -> unet.UNetEncoder:
    """Build an untrained U-Net."""
    return unet.UNetEncoder(options, sources=SEPARATES, pooling="average")


official_weights = msspt.separator_weights


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    return Options(width=msspt.width_of(shapes, sources=SEPARATES))
