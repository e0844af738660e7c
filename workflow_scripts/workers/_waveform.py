"""Worker that decodes an encoder's frames to the waveform."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.configuration.compatibility import require_frames
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.decoder import MirroredDecoder, WaveformDecoder
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker

MAPS = (512, 256, 128)  # channels of the three transposed convolutions in workers.cfg
HIDDEN = 64  # channels of the last hidden layer in workers.cfg
MIN_CHANNELS = 4  # so that a narrowed decoder stays a network


class WaveformWorker(Worker):
    """Decodes frames to samples; the loss is the mean absolute error."""

    def __init__(self, *, decoder: Literal["mirrored", "official"], width: float, embedding_size: int) -> None:
        """Build the decoder; `width` is a factor on its channels."""
        super().__init__()
        self.decoder = _build_decoder(decoder, width=width, inputs=embedding_size)

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` unless the decoder makes as many samples as the encoder received."""
        require_frames(encoder.hop, every=HOP)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Compute the mean absolute error on the samples that the frames cover."""
        reconstruction = self.decoder(frames)[:, 0, : batch.clean.shape[-1]].float()
        return functional.l1_loss(reconstruction, batch.clean[:, : reconstruction.shape[-1]])


def _build_decoder(decoder: str, *, width: float, inputs: int) -> nn.Module:
    if decoder == "mirrored":
        return MirroredDecoder(inputs=inputs, width=width)
    maps = [_narrow(channels, width) for channels in MAPS]
    return WaveformDecoder(inputs=inputs, maps=maps, hidden=_narrow(HIDDEN, width))


def _narrow(channels: int, width: float) -> int:
    return max(MIN_CHANNELS, round(channels * width))
