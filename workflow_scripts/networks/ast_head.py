"""The Audio Spectrogram Transformer as a head on maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from workflow_scripts.networks.audio_spectrogram_transformer import Ast, Patchify, map_sizes
from workflow_scripts.networks.head_interfaces import MapsHead
from workflow_scripts.networks.log_mel import log_mel
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.sizes.audio_spectrogram_transformer import COLUMNS, INSERTION_BLOCKS, Size
from workflow_scripts.networks.sizes.spectrogram import HOP, sample_count

SMALLEST_RANGE = 1e-6  # divisor of a window of silence, whose spectrogram has no range


class AstHead(MapsHead):
    """Windows of 384 or 768 frames to one logit per class.

    Separated sources are channels of the spectrogram beside the mixture, which together are scaled to between -1 and 1
    window by window. (The MSSPT code scales batch by batch, so that a clip's logits would depend on its batch.)
    """

    first_kernel = "network.v.patch_embed.proj.weight"

    def __init__(
        self,
        *,
        sources: int,
        decoder: Sequence[int],
        outputs: int,
        size: Size,
        frames: int,
        adaptation: Literal["sum", "none"],
        order: Literal["fine_to_coarse", "coarse_to_fine"],
    ) -> None:
        """Build the network with weights from torch's global generator.

        `sources` are those the encoder separates, `decoder` the channels of its maps, coarse to fine. `frames` is the
        length of a window; `adaptation` sets whether the maps are added, and `order` which of them comes first.
        """
        super().__init__()
        self.samples, self.hop = sample_count(frames), frames * HOP
        self.network = Ast(size, outputs=outputs, channels=sources + 1, stride=frames // COLUMNS)
        # one adapter for each of the U-Net's maps but the finest
        levels = len(INSERTION_BLOCKS) if decoder and adaptation == "sum" else 0
        shapes = map_sizes(frames, levels)
        self.adapters = nn.ModuleList(
            Patchify(channels, size.width, frames=map_frames, bins=bins)
            for channels, (map_frames, bins) in zip(decoder, shapes, strict=False)
        )
        self.receiving = INSERTION_BLOCKS if order == "coarse_to_fine" else INSERTION_BLOCKS[::-1]

    def forward(self, maps: Maps) -> Tensor:
        """Compute logits (batch, outputs)."""
        # log-mel spectrograms of the sources and the mixture, scaled to [-1, 1]
        spectrograms = torch.cat([log_mel(maps.masked), log_mel(maps.magnitude)], dim=1)
        low, high = spectrograms.amin(dim=(1, 2, 3), keepdim=True), spectrograms.amax(dim=(1, 2, 3), keepdim=True)
        scaled = 2 * (spectrograms - low) / (high - low).clamp(min=SMALLEST_RANGE) - 1
        # the U-Net's maps as tokens, each added before its block
        adapted = [adapter(level) for adapter, level in zip(self.adapters, maps.decoder, strict=False)]
        return self.network(scaled, dict(zip(self.receiving, adapted, strict=False)))
