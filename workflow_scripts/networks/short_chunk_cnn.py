"""The Short-Chunk CNN of Garoufis et al. (2024, section 2; `models.py` of the MSSPT code), alone or behind a U-Net.

It is not that of Won et al. (2020), which they name: two convolutions a block, half as wide, on log magnitudes. Keras's
defaults are kept, as in the U-Net.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.networks import widths
from workflow_scripts.networks.log_mel import log_mel, mel_of_log
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.normalisation import BatchNorm1d, NormalisedConvolution2d, NormalisedLinear
from workflow_scripts.networks.sizes.short_chunk_cnn import CHANNELS_ALONE, CHANNELS_JOINT, HIDDEN, POOLING, SKIPS
from workflow_scripts.networks.sizes.unet import MOMENTUM
from workflow_scripts.networks.unet import EPSILON

DROPOUT = 0.5
MAP_BLOCKS = range(1, SKIPS + 1)  # places of the blocks whose input has maps of the U-Net

Adaptation = Literal["sum", "concatenation", "none"]


class ShortChunkBlock(nn.Module):
    """Twice convolution 3x3, batch normalisation and ReLU, then max pooling."""

    def __init__(self, inputs: int, outputs: int, *, pooling: tuple[int, int], momentum: float) -> None:
        """Build the block."""
        super().__init__()
        self.conv1 = NormalisedConvolution2d(inputs, outputs, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=momentum)
        self.conv2 = NormalisedConvolution2d(outputs, outputs, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=momentum)
        self.pooling = pooling

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames, bands) to (batch, outputs, frames, bands), pooled."""
        maps = self.norm1(self.conv1(maps)).relu_()
        return functional.max_pool2d(self.norm2(self.conv2(maps)).relu_(), self.pooling)


class ShortChunkCnn(nn.Module):
    """Seven blocks on log-mel spectrograms of 384 frames, and two dense layers.

    Behind a U-Net its input has the separated sources beside the mixture, and that of each block from the second to the
    sixth the maps of the block of the U-Net with as many frames, pooled along frequency to its bands (the U-Net has 256
    bins, this network 128 bands). `adaptation` sets how: `sum`, through a convolution 1x1 to the channels of the
    block's input and added to it (the poster, and the code's second version); `concatenation`, beside the block's input
    (the first version, whose blocks differ in width, and whose mixture's logarithm is taken before the mel matrix); or
    `none`, the first version without these maps.
    """

    def __init__(
        self,
        *,
        sources: int,
        decoder: Sequence[int],
        outputs: int,
        adaptation: Adaptation,
        width: float = 1.0,
        momentum: float = MOMENTUM,
        adapted: Collection[int] = MAP_BLOCKS,
    ) -> None:
        """Build the network with weights from torch's global generator.

        `sources` are those the U-Net separates, `decoder` the channels of its blocks up, coarse to fine; 0 and none for
        the network alone. `width` is a factor on all channels, `momentum` the share of the last batch in the running
        statistics of batch normalisation, `adapted` the places of the blocks that read the U-Net's maps.
        """
        super().__init__()
        self.adaptation: Adaptation = adaptation if sources else "none"
        # sizes of the network
        first_version = bool(sources) and adaptation != "sum"
        *channels, hidden = widths.scale_channels(
            (*(CHANNELS_JOINT if first_version else CHANNELS_ALONE), HIDDEN), width
        )
        self.adapted = [place for place in MAP_BLOCKS if self.adaptation != "none" and place in adapted]
        joined = {place: decoder[SKIPS - place] for place in self.adapted}
        inputs = [sources + 1, *channels[:-1]]
        concatenated = joined if self.adaptation == "concatenation" else {}
        self.log_before_mel = first_version
        # convolution blocks, and adapters of the U-Net's maps
        self.blocks = nn.ModuleList(
            ShortChunkBlock(first + concatenated.get(place, 0), last, pooling=pooling, momentum=momentum)
            for place, (first, last, pooling) in enumerate(zip(inputs, channels, POOLING, strict=True))
        )
        self.adapters = nn.ModuleList(
            nn.Conv2d(maps, inputs[place], 1) for place, maps in joined.items() if self.adaptation == "sum"
        )
        # dense layers; pooling has left two frames and one band
        self.dense = NormalisedLinear(2 * channels[-1], hidden)
        self.norm = BatchNorm1d(hidden, eps=EPSILON, momentum=momentum)
        self.dropout = nn.Dropout(DROPOUT)
        self.classes = nn.Linear(hidden, outputs)
        self.apply(_init_weights)
        # faster on CPUs, as in the U-Net
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, maps: Maps) -> Tensor:
        """Compute logits (batch, outputs) of windows of 384 frames."""
        mixture = mel_of_log(maps.magnitude) if self.log_before_mel else log_mel(maps.magnitude)
        values = torch.cat([log_mel(maps.masked), mixture], dim=1)
        # the U-Net's maps, coarse to fine, with bins pooled to bands
        skips = [functional.max_pool2d(level, (1, 2)) for level in maps.decoder[:SKIPS]]
        for place, block in enumerate(self.blocks):
            if place in self.adapted:
                values = self._adapt(values, skips[SKIPS - place], place)
            values = block(values)
        # frame by frame, as Keras lays them out
        values = values.permute(0, 2, 3, 1).flatten(1)
        return self.classes(self.dropout(self.norm(self.dense(values)).relu_()))

    def _adapt(self, values: Tensor, skip: Tensor, place: int) -> Tensor:
        """Add a map of the U-Net to the input of a block, or concatenate them."""
        if self.adaptation == "sum":
            return values + self.adapters[self.adapted.index(place)](skip)
        return torch.cat([values, skip.to(values.dtype)], dim=1)


def _init_weights(layer: nn.Module) -> None:
    """Draw Glorot's initial weights."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
