"""The handcrafted floor: the features that pre-training learns to predict, put straight into the head.

An encoder that was pre-trained to predict these features and is worth its cost should beat them. Nothing here is
trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.features import prosody, rhythm, spectral
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = False
UNTRAINED_VERSION_OF = None
SAMPLE_RATE = 16000
EMBEDDING = 840  # numbers of a clip: mean and deviation of each feature, with pitch

CHANNELS = spectral.MFCC_COEFFICIENTS + spectral.PITCH_CLASSES + rhythm.TEMPOGRAM_FRAMES + 2
LOWEST_HZ, HIGHEST_HZ = 65.40639132514966, 2093.004522404789  # C2 to C7, the range of the prosody worker


@dataclass(frozen=True, kw_only=True)
class Options:
    """`pitch` adds voicing probability and log F0 by pYIN, which costs about twice as much as all the rest."""

    pitch: bool = True


class Handcrafted(Encoder):
    """MFCC, chroma, tempogram, zero-crossing rate, energy and, if asked for, pitch (Wu et al. 3.2).

    Not the log power spectrum: its 1,025 bins say little that MFCC do not and would be more than half of the head.
    """

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(self, options: Options) -> None:
        """Remember whether pitch is wanted."""
        super().__init__()
        self.pitch = options.pitch
        self.embedding_size = CHANNELS + 2 * options.pitch

    def forward(self, audio: Tensor) -> Tensor:
        """Features (batch, 418 or 420, samples // 160) of audio (batch, samples); what is not finite becomes 0."""
        power = spectral.power_spectrum(audio)
        features = [
            spectral.mfcc(power=power, sample_rate=SAMPLE_RATE),
            spectral.chroma(power=power, sample_rate=SAMPLE_RATE),
            rhythm.tempogram(power=power, sample_rate=SAMPLE_RATE),
            prosody.zero_crossing_rate(audio),
            prosody.root_mean_square(audio),
            *([_pitch(audio)] if self.pitch else []),
        ]
        frames = torch.cat(features, dim=1)[..., : audio.shape[-1] // HOP]  # the encoders have one frame less
        return torch.nan_to_num(frames, nan=0.0, posinf=0.0, neginf=0.0)

    @property
    def pooled_size(self) -> int:
        """Mean and deviation of each channel."""
        return 2 * self.embedding_size

    def pool(self, frames: Tensor) -> Tensor:
        """Mean and deviation over time, (batch, pooled_size), from frames (batch, embedding_size, frames)."""
        return torch.cat([frames.mean(dim=-1), frames.std(dim=-1, correction=0)], dim=-1)


def _pitch(audio: Tensor) -> Tensor:
    """Voicing probability and log F0, (batch, 2, frames)."""
    clips = [
        prosody.targets(clip, sample_rate=SAMPLE_RATE, lowest_hz=LOWEST_HZ, highest_hz=HIGHEST_HZ)[2:]
        for clip in torch.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0).cpu().numpy()
    ]
    return torch.from_numpy(np.stack(clips)).to(audio.device)


def build(options: Options) -> Handcrafted:
    """Build the floor."""
    return Handcrafted(options)
