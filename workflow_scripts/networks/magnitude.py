"""The spectrogram itself as an encoder: the input of the separation back ends without a U-Net before them."""

from __future__ import annotations

from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.sizes.spectrogram import BINS, HOP, MELS, SAMPLE_RATE, WINDOW, frame_count, sample_count


class Magnitude(Encoder):
    """Log-mel frames of 10 ms, from the U-Net's spectrogram."""

    sample_rate = SAMPLE_RATE
    hop = HOP
    embedding_size = MELS

    def __init__(self, *, crop_frames: int) -> None:
        """Evaluate clips by crops of `crop_frames` frames."""
        super().__init__()
        self.crop_length = sample_count(crop_frames)

    def forward(self, audio: Tensor) -> Tensor:
        """Compute log-mel magnitudes (batch, 128, frames) of audio (batch, samples); only whole windows become frames.

        Raises `UserError` below one window.
        """
        magnitude = self.maps(audio).magnitude[:, 0]
        mel = magnitude @ spectrogram.mel_matrix().to(magnitude.device)
        return spectrogram.unet_log10(mel).transpose(1, 2)

    def maps(self, waveform: Tensor) -> Maps:
        """Return magnitudes of audio (batch, samples); nothing is separated."""
        if not frame_count(waveform.shape[-1]):
            raise UserError(
                f"magnitude needs at least {WINDOW} samples (32 ms), got {waveform.shape[-1]}: leave such clips out"
            )
        magnitude = spectrogram.compute_stft(waveform).abs()[:, None, :, :BINS]
        return Maps(magnitude=magnitude, masked=magnitude[:, :0])
