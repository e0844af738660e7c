"""Handcrafted features as an encoder, without anything to train."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.features import prosody, rhythm, spectral
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.interfaces import Encoder

CHANNELS = spectral.MFCC_COEFFICIENTS + spectral.PITCH_CLASSES + rhythm.TEMPOGRAM_FRAMES + 2
MIN_HZ, MAX_HZ = 65.40639132514966, 2093.004522404789  # C2 to C7, the range of the prosody worker


class Handcrafted(Encoder):
    """MFCC, chroma, tempogram, zero-crossing rate, energy and, optionally, pitch (Wu et al. 3.2).

    Not the log power spectrum: its 1,025 bins say little that MFCC do not and would be more than half of the head.
    """

    hop = HOP

    def __init__(self, *, sample_rate: int, pitch: bool) -> None:
        """Choose the sample rate in Hz, and whether pitch is computed too."""
        super().__init__()
        self.sample_rate, self.pitch = sample_rate, pitch
        self.embedding_size = CHANNELS + 2 * pitch

    def forward(self, audio: Tensor) -> Tensor:
        """Compute features (batch, 418 or 420, samples // 160) of audio (batch, samples); values that are not finite
        become 0.
        """
        power = spectral.power_spectrum(audio)
        features = [
            spectral.mfcc(power=power, sample_rate=self.sample_rate),
            spectral.chroma(power=power, sample_rate=self.sample_rate),
            rhythm.tempogram(power=power, sample_rate=self.sample_rate),
            prosody.zero_crossing_rate(audio),
            prosody.root_mean_square(audio),
            *([self._pitch(audio)] if self.pitch else []),
        ]
        # the encoders have one frame less
        frames = torch.cat(features, dim=1)[..., : audio.shape[-1] // HOP]
        return torch.nan_to_num(frames, nan=0.0, posinf=0.0, neginf=0.0)

    @property
    def pooled_size(self) -> int:
        """Mean and standard deviation of each channel."""
        return 2 * self.embedding_size

    def pool(self, frames: Tensor) -> Tensor:
        """Return mean and standard deviation over time, (batch, pooled_size), of frames (batch, embedding_size,
        frames).
        """
        return torch.cat([frames.mean(dim=-1), frames.std(dim=-1, correction=0)], dim=-1)

    def _pitch(self, audio: Tensor) -> Tensor:
        """Compute voicing probability and log F0, (batch, 2, frames)."""
        clips = [
            prosody.targets(clip, sample_rate=self.sample_rate, lowest_hz=MIN_HZ, highest_hz=MAX_HZ)[2:]
            for clip in torch.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0).cpu().numpy()
        ]
        return torch.from_numpy(np.stack(clips)).to(audio.device)
