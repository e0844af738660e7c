"""Polarity, gain and noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workflow_scripts.effects.chain import Effect, scale

SEEDS = 2**53  # number of different seeds: as many as a float64 from 0 to 1 distinguishes


class PolarityInversion(Effect):
    """Inverts the sign of all samples."""

    n_uniforms = 0

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:  # noqa: ARG002 - one shape for all effects
        """Return the audio with the opposite polarity."""
        return invert_polarity(audio)


class RandomGain(Effect):
    """Changes the level by a uniformly drawn number of dB."""

    n_uniforms = 1

    def __init__(self, *, lowest: float, highest: float) -> None:
        """Draw gains from `lowest` to `highest` dB."""
        self.lowest, self.highest = lowest, highest

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Return the audio at another level."""
        return change_gain(audio, decibels=scale(uniforms[:, 0], low=self.lowest, high=self.highest))


class RandomNoise(Effect):
    """Adds white Gaussian noise of a uniformly drawn standard deviation."""

    n_uniforms = 2

    def __init__(self, *, least: float, most: float) -> None:
        """Draw the noise's standard deviation from `least` to `most`, as a share of the audio's."""
        self.least, self.most = least, most

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Return the audio with noise."""
        ratios = scale(uniforms[:, 0], low=self.least, high=self.most)
        return add_noise(audio, ratios=ratios, seeds=(uniforms[:, 1] * SEEDS).long().tolist())


def invert_polarity(audio: Tensor) -> Tensor:
    """Return audio with the opposite polarity."""
    return -audio


def change_gain(audio: Tensor, *, decibels: Tensor) -> Tensor:
    """Change the level of audio (batch, samples) by `decibels` (batch,); samples beyond -1 and 1 are cut off there.

    CLMR's code does so (`torchaudio.transforms.Vol`), which matters where noise or another effect came before.
    """
    return (audio * (10 ** (decibels / 20)).to(audio)[:, None]).clamp_(-1, 1)


def add_noise(audio: Tensor, *, ratios: Tensor, seeds: Sequence[int]) -> Tensor:
    """Add white Gaussian noise to audio (batch, samples); its standard deviation is `ratios` (batch,) of the audio's.

    A ratio of 0.01 is a signal-to-noise ratio of 40 dB; silence stays silent. Each example's noise is drawn from its
    own seed, so it does not depend on the rest of the batch; it does depend on the kind of device.
    """
    noise = torch.empty_like(audio)
    generator = torch.Generator(audio.device)
    for row, seed in zip(noise, seeds, strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    deviations = audio.std(dim=-1, correction=0, keepdim=True) * ratios.to(audio)[:, None]
    return noise.mul_(deviations).add_(audio)
