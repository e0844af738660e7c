"""The Short-Chunk CNN on log-mel spectrograms, alone or joined to a separation U-Net (Garoufis et al. 2024, section 2).

With encoder `magnitude` it stands alone; with a `unet` its input also has the separated sources, and the U-Net's maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.short_chunk_cnn import FRAMES
from workflow_scripts.networks.sizes.spectrogram import sample_count

if TYPE_CHECKING:
    from workflow_scripts.networks.short_chunk_cnn_head import ShortChunkCnnHead

LABEL = "Short-Chunk CNN"
READS = "maps"


class Options(LevelOptions):
    """Options of the Short-Chunk CNN."""

    adaptation: Literal["sum", "concatenation", "none"] = "sum"
    """Input of the U-Net's maps, see `networks.short_chunk_cnn`: `sum` as on the poster, `concatenation` as in the
    code of the first version (the preset `msspt_icassp`), or `none`."""
    width: float = Field(default=1.0, gt=0)
    """Factor on all channels."""
    momentum: float = Field(default=0.01, gt=0, le=1)
    """Share of the last batch in the running statistics of batch normalisation. With Keras's 0.01 these follow after
    some hundred steps, and validation, which uses them, finds no progress before: sets of fewer steps an epoch need
    more."""


def window(options: Options) -> int:
    """Return the samples of a window."""
    return sample_count(FRAMES)


def build(options: Options, *, sources: int, decoder: Sequence[int], outputs: int) -> ShortChunkCnnHead:
    """Build a head with initial values from torch's global generator.

    `sources` are those the encoder separates, `decoder` the channels of its maps, coarse to fine; 0 and none for the
    CNN alone.
    """
    from workflow_scripts.networks.short_chunk_cnn_head import ShortChunkCnnHead

    return ShortChunkCnnHead(
        sources=sources,
        decoder=decoder,
        outputs=outputs,
        adaptation=options.adaptation,
        width=options.width,
        momentum=options.momentum,
    )
