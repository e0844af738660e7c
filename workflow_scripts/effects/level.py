"""Polarity, gain and noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def inverted(audio: Tensor) -> Tensor:
    """Audio with the opposite polarity."""
    return -audio


def amplified(audio: Tensor, *, decibels: Tensor) -> Tensor:
    """Audio (batch, samples), its level changed by `decibels` (batch,)."""
    return audio * (10 ** (decibels / 20)).to(audio)[:, None]


def noisy(audio: Tensor, *, ratios: Tensor, seeds: Sequence[int]) -> Tensor:
    """Audio (batch, samples) with white Gaussian noise, whose deviation is `ratios` (batch,) of the audio's.

    A ratio of 0.01 is a signal-to-noise ratio of 40 dB; silence stays silent. Each example's noise is drawn from its
    own seed, so it is the same whatever else is in the batch; another kind of device draws another noise.
    """
    noise = torch.empty_like(audio)
    generator = torch.Generator(audio.device)
    for row, seed in zip(noise, seeds, strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    deviations = audio.std(dim=-1, correction=0, keepdim=True) * ratios.to(audio)[:, None]
    return noise.mul_(deviations).add_(audio)
