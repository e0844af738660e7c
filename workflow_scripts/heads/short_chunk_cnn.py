"""The Short-Chunk CNN on log-mel spectrograms, alone or joined to a separation U-Net (Garoufis et al. 2024, section 2).

With encoder `magnitude` it stands alone; with `unet` or `unet_multiple` it also hears what these separate, and their
maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.head_interfaces import MapsHead
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.short_chunk_cnn import FRAMES, Adaptation, ShortChunkCnn
from workflow_scripts.networks.spectrogram import HOP, sample_count

READS = "maps"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the Short-Chunk CNN.

    `adaptation`: how the U-Net's maps enter, see `networks.short_chunk_cnn`: `sum` as on the poster, `concatenation` as
    in the code of the first version (the preset `msspt_icassp`), or `none`. `width`: factor on all channels.
    `momentum`: share of the last batch in the running statistics of batch normalisation. With Keras's 0.01 these follow
    after some hundred steps, and validation, which uses them, finds no progress before: sets of fewer steps an epoch
    need more.
    """

    adaptation: Adaptation = "sum"
    width: float = 1.0
    momentum: float = 0.01

    def __post_init__(self) -> None:
        """Raise `UserError` for a head that cannot be built."""
        if self.adaptation not in ("sum", "concatenation", "none"):
            raise UserError(f"short_chunk_cnn: adaptation must be sum, concatenation or none, not {self.adaptation!r}")
        if not (self.width > 0 and 0 < self.momentum <= 1):
            raise UserError(
                "short_chunk_cnn needs width > 0 and momentum above 0 and up to 1, "
                f"not {self.width} and {self.momentum}"
            )


class ShortChunkCnnHead(MapsHead):
    """Windows of 384 frames to one logit per class."""

    hop = FRAMES * HOP
    first_kernel = "network.blocks.0.conv1.weight"

    def __init__(self, options: Options, *, sources: int, decoder: Sequence[int], outputs: int) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        self.samples = window(options)
        self.network = ShortChunkCnn(
            sources=sources,
            decoder=decoder,
            outputs=outputs,
            adaptation=options.adaptation,
            width=options.width,
            momentum=options.momentum,
        )

    def forward(self, maps: Maps) -> Tensor:
        """Logits (batch, outputs)."""
        return self.network(maps)

    def take_over(self, alone: MapsHead) -> None:
        """Go on from the CNN alone; `UserError` for `concatenation` and `none`, whose blocks have other channels."""
        if self.network.log_before_mel:
            raise UserError(
                "short_chunk_cnn: three stages need adaptation sum, whose blocks are those of the CNN alone"
            )
        super().take_over(alone)


def window(options: Options) -> int:
    """Samples of a window."""
    return sample_count(FRAMES)


def build(options: Options, *, sources: int, decoder: Sequence[int], outputs: int) -> ShortChunkCnnHead:
    """Build a head with first values from torch's global generator.

    `sources` are those the encoder separates, `decoder` the channels of its maps, coarse to fine; 0 and none for the
    CNN alone.
    """
    return ShortChunkCnnHead(options, sources=sources, decoder=decoder, outputs=outputs)
