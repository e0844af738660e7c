"""The spectrogram itself: what the back ends of source separation hear where no U-Net stands before them.

With one of these as head and the scenario `supervised` it is a bare back end (Garoufis et al. 2024, first row of the
results); for a plain head its embedding is the mean log-mel spectrum. Nothing here is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.maps import Maps

TRAINABLE = False
UNTRAINED_VERSION_OF = None
SAMPLE_RATE = 16000
MAPS = True  # heads may read them

FRAMES = 384  # of a crop, as the U-Net is given them


@dataclass(frozen=True, kw_only=True)
class Options:
    """There is nothing to choose."""


class Magnitude(Encoder):
    """Log-mel frames of 10 ms, from the U-Net's spectrogram."""

    sample_rate = SAMPLE_RATE
    hop = spectrogram.HOP
    crop_length = spectrogram.sample_count(FRAMES)
    embedding_size = spectrogram.MELS

    def forward(self, audio: Tensor) -> Tensor:
        """Log-mel magnitudes (batch, 128, frames) of audio (batch, samples); only whole windows become frames.

        Raises `UserError` below one window.
        """
        magnitude = self.maps(audio).magnitude[:, 0]
        mel = magnitude @ spectrogram.mel_matrix().to(magnitude.device)
        return spectrogram.log10(mel).transpose(1, 2)

    def maps(self, waveform: Tensor) -> Maps:
        """Magnitudes of audio (batch, samples); nothing is separated."""
        if not spectrogram.frame_count(waveform.shape[-1]):
            raise UserError(
                f"magnitude needs at least {spectrogram.WINDOW} samples (32 ms), got {waveform.shape[-1]}: "
                "leave such clips out"
            )
        magnitude = spectrogram.spectrum(waveform).abs()[:, None, :, : spectrogram.BINS]
        return Maps(magnitude=magnitude, masked=magnitude[:, :0])


def build(options: Options) -> Magnitude:  # noqa: ARG001 - one shape for all encoders
    """Build the front end."""
    return Magnitude()
