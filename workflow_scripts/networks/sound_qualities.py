"""Measured sound qualities as an encoder, without anything to train."""

from __future__ import annotations

import torch
from torch import Tensor

from workflow_scripts.features import onsets, prosody, rhythm, spectral, timbre
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.sizes.sound_qualities import QUALITIES

SILENCE = 1e-10  # power: -100 dB, below a step of 16 bits (-90 dB)


class SoundQualities(Encoder):
    """Level, spectral centroid and flatness, onset rate, attack time and harmonic share of a clip (`QUALITIES`)."""

    hop = HOP
    embedding_size = 7  # what the six are computed from

    def __init__(self, *, sample_rate: int) -> None:
        """Choose the sample rate in Hz."""
        super().__init__()
        self.sample_rate = sample_rate

    def forward(self, audio: Tensor) -> Tensor:
        """Measure frames (batch, 7, samples // 160) of audio (batch, samples).

        They hold power, spectral centroid, flatness, whether a note begins, its attack time, and the energy of the
        spectrum: that of the harmonic part, and all. Values that are not finite become 0.
        """
        finite = torch.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0)
        power = spectral.power_spectrum(finite)
        loudness = prosody.root_mean_square(finite)
        strength = rhythm.onset_strength(power=power, sample_rate=self.sample_rate)
        notes = onsets.measure_notes(strength.squeeze(-2), loudness.squeeze(-2), sample_rate=self.sample_rate)
        features = [
            loudness.square(),
            timbre.spectral_centroid(power, sample_rate=self.sample_rate),
            timbre.spectral_flatness(power),
            notes,
            timbre.harmonic_energy(power, sample_rate=self.sample_rate),
        ]
        return torch.cat(features, dim=-2)[..., : audio.shape[-1] // HOP]

    @property
    def pooled_size(self) -> int:
        """Number of qualities."""
        return len(QUALITIES)

    def pool(self, frames: Tensor) -> Tensor:
        """Return the qualities, (batch, 6), of frames (batch, 7, frames); without notes the attack time is 0."""
        means = frames.mean(dim=-1)
        power, centroid, flatness, notes, attack, harmonic, energy = means.unbind(dim=-1)
        return torch.stack(
            [
                10 * torch.log10(power.clamp(min=SILENCE)),
                centroid,
                flatness,
                notes * self.sample_rate / HOP,
                attack / notes.clamp(min=torch.finfo(notes.dtype).tiny),
                harmonic / energy.clamp(min=torch.finfo(energy.dtype).tiny),
            ],
            dim=-1,
        )
