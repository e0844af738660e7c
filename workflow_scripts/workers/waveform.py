"""Worker W: rebuild the waveform from the frames (Wu et al. 2021, section 3.2).

The paper says that the encoder's layers are applied in reverse order; the PASE code, which it builds on, has a decoder
of three transposed convolutions. That one is the default, since it can be checked against published numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.configuration.compatibility import require_frames
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.decoder import MirroredDecoder, WaveformDecoder
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker

PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: targets and frames go together

MAPS = (512, 256, 128)  # channels of the three transposed convolutions in workers.cfg
HIDDEN = 64
FEWEST_CHANNELS = 4  # so that a narrowed decoder stays a network


@dataclass(frozen=True, kw_only=True)
class Options:
    """`width`: factor on the decoder's channels. `decoder`: that of the PASE code, or the encoder mirrored."""

    width: float = 1.0
    decoder: Literal["official", "mirrored"] = "official"

    def __post_init__(self) -> None:
        """Raise `UserError` for a decoder that cannot be built."""
        if not self.width > 0:
            raise UserError(f"width must be above 0, not {self.width}")
        if self.decoder not in ("official", "mirrored"):
            raise UserError(f"decoder must be official or mirrored, not {self.decoder!r}")


class WaveformWorker(Worker):
    """Decodes frames to samples; the loss is the mean absolute error."""

    def __init__(self, options: Options, *, embedding_size: int) -> None:
        """Build the decoder."""
        super().__init__()
        self.decoder = _decoder(options, inputs=embedding_size)

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` unless the decoder makes as many samples as the encoder heard."""
        require_frames(encoder.hop, every=HOP)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Mean absolute error on the samples that the frames cover."""
        rebuilt = self.decoder(frames)[:, 0, : batch.clean.shape[-1]].float()
        return functional.l1_loss(rebuilt, batch.clean[:, : rebuilt.shape[-1]])


def _decoder(options: Options, *, inputs: int) -> nn.Module:
    if options.decoder == "mirrored":
        return MirroredDecoder(inputs=inputs, width=options.width)
    maps = [_narrowed(size, options.width) for size in MAPS]
    return WaveformDecoder(inputs=inputs, maps=maps, hidden=_narrowed(HIDDEN, options.width))


def _narrowed(size: int, width: float) -> int:
    return max(FEWEST_CHANNELS, round(size * width))


def build(options: Options, *, embedding_size: int) -> WaveformWorker:
    """Build the worker."""
    return WaveformWorker(options, embedding_size=embedding_size)
