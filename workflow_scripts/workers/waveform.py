"""Worker W: reconstruction of the waveform from the frames (Wu et al. 2021, section 3.2).

The paper states that the encoder's layers are applied in reverse order; the PASE code, on which it builds, has a
decoder of three transposed convolutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflow_scripts.features.frames import HOP
from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.workers._waveform import WaveformWorker

LABEL = "waveform"
PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: the decoder makes a hop of samples from each frame


class Options(LevelOptions):
    """Options of the waveform worker."""

    width: float = Field(default=1.0, gt=0)
    """Factor on the decoder's channels."""
    decoder: Literal["mirrored", "official"] = "mirrored"
    """The encoder's convolution blocks in reverse order, as in the paper (`mirrored`), or the decoder of the PASE code,
    three transposed convolutions (`official`)."""


def build(options: Options, *, embedding_size: int) -> WaveformWorker:
    """Build the worker for an encoder with `embedding_size` channels."""
    from workflow_scripts.workers._waveform import WaveformWorker

    return WaveformWorker(decoder=options.decoder, width=options.width, embedding_size=embedding_size)
