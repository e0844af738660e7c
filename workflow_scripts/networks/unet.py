"""The U-Net that separates sources (Garoufis et al. 2024, section 2; `separators.py` of the MSSPT code).

The poster cites a Res-U-Net; its code is the plain U-Net beside it at half width, without a block at the bottom.
Keras's defaults are kept: batch normalisation with momentum 0.99 and epsilon 0.001, and Glorot's initial weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import widths
from workflow_scripts.networks.normalisation import NormalisedConvolution2d, NormalisedUpsampling2d
from workflow_scripts.networks.sizes.unet import CHANNELS, LAST, MOMENTUM

SLOPE = 0.01  # of the leaky ReLU
EPSILON = 1e-3  # of batch normalisation


@dataclass(frozen=True, kw_only=True)
class SeparationOutput:
    """Output of the U-Net: `mask` (batch, sources, frames, bins), and its maps as in `Maps`, coarse to fine.

    `bottom` (batch, channels, frames / 64, bins / 64) is the input of the first block up.
    """

    mask: Tensor
    bottom: Tensor
    decoder: tuple[Tensor, ...]


class DoubleConvolution(nn.Module):
    """Twice batch normalisation, leaky ReLU and convolution 3x3."""

    def __init__(self, inputs: int, outputs: int, *, momentum: float) -> None:
        """Build the block."""
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs, eps=EPSILON, momentum=momentum)
        self.conv1 = NormalisedConvolution2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=momentum)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames, bins) to (batch, outputs, frames, bins)."""
        maps = self.conv1(functional.leaky_relu(self.norm1(maps), SLOPE, inplace=True))
        return self.conv2(functional.leaky_relu(self.norm2(maps), SLOPE, inplace=True))


class Expansion(nn.Module):
    """Twice as many frames and bins by a transposed convolution 2x2, then a double convolution."""

    def __init__(self, inputs: int, outputs: int, *, momentum: float) -> None:
        """Build the block."""
        super().__init__()
        self.up = NormalisedUpsampling2d(inputs, outputs, 2, stride=2)
        self.block = DoubleConvolution(outputs, outputs, momentum=momentum)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames, bins) to (batch, outputs, 2 frames, 2 bins)."""
        return self.block(self.up(maps))


class UNet(nn.Module):
    """Six blocks down, six up, and a mask for each source."""

    def __init__(
        self, *, sources: int, pooling: Literal["max", "average"], width: float = 1.0, momentum: float = MOMENTUM
    ) -> None:
        """Build the network with weights from torch's global generator.

        `width` is a factor on all channels, `momentum` the share of the last batch in the running statistics of batch
        normalisation.
        """
        super().__init__()
        *channels, last = widths.scale_channels((*CHANNELS, LAST), width)
        upwards = [channels[-1], *reversed(channels)]
        # of the pooled maps that are concatenated before each block up but the first
        skipped = [0, *reversed(channels[:-1])]
        self.pool = functional.max_pool2d if pooling == "max" else functional.avg_pool2d
        self.contracting = nn.ModuleList(
            DoubleConvolution(*pair, momentum=momentum) for pair in pairwise([1, *channels])
        )
        self.expanding = nn.ModuleList(
            Expansion(inputs + joined, outputs, momentum=momentum)
            for (inputs, outputs), joined in zip(pairwise(upwards), skipped, strict=True)
        )
        self.last = DoubleConvolution(channels[0] + 1, last, momentum=momentum)
        self.mask = nn.Conv2d(last, sources, 3, padding=1)
        # Glorot's initial weights
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        # a third faster on CPUs: few channels, large maps
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

    def forward(self, magnitude: Tensor) -> SeparationOutput:
        """Separate log magnitudes (batch, 1, frames, bins); frames and bins are multiples of 64."""
        # six blocks down, each followed by pooling
        maps, pooled = magnitude, []
        for block in self.contracting:
            maps = self.pool(block(maps), 2)
            pooled.append(maps)
        # six blocks up, each beside the pooled maps of its scale, the last beside the input
        bottom, decoder = pooled.pop(), []
        for block in self.expanding:
            maps = block(maps)
            decoder.append(maps)
            maps = torch.cat([maps, pooled.pop() if pooled else magnitude.to(maps.dtype)], dim=1)
        mask = torch.sigmoid(self.mask(self.last(maps)))
        return SeparationOutput(mask=mask, bottom=bottom, decoder=tuple(decoder))


def upward_channels(width: float) -> list[int]:
    """Return the channels of the bottom and of the six blocks up, coarse to fine."""
    channels = widths.scale_channels(CHANNELS, width)
    return [channels[-1], *reversed(channels)]


def read_width(shapes: Mapping[str, Sequence[int]], *, prefix: str) -> float:
    """Return the width of a network in a state dict, from the shapes of its tensors, whose names begin with `prefix`.

    Raises `UserError` where no width gives these channels, `LookupError` where a block is missing.
    """
    layers = [f"contracting.{number}.conv2" for number in range(len(CHANNELS))] + ["last.conv2"]
    channels = [shapes[f"{prefix}{layer}.weight"][0] for layer in layers]
    width = widths.find_width(channels, channels=(*CHANNELS, LAST))
    if width is None:
        raise UserError(f"its blocks have {', '.join(map(str, channels))} channels, which no width of the U-Net gives")
    return width
