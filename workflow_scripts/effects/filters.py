"""Low-pass and high-pass filters."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workflow_scripts.effects.chain import Effect, scale
from workflow_scripts.effects.fourier import fast_length

# Zero crossings of the sinc within the window, on both sides together: the default of the julius library.
ZEROS = 8


class RandomFilter(Effect):
    """Applies a low-pass or a high-pass filter, with equal chance, at a uniformly drawn cutoff frequency."""

    n_uniforms = 2

    def __init__(self, *, low_pass: tuple[float, float], high_pass: tuple[float, float], sample_rate: int) -> None:
        """Draw cutoff frequencies between the two bounds, in Hz, of each kind of filter."""
        self.low_pass, self.high_pass, self.sample_rate = low_pass, high_pass, sample_rate

    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Return each example high-passed if its first uniform number is below 0.5, else low-passed.

        The second number sets the cutoff frequency.
        """
        high_pass = uniforms[:, 0] < 0.5
        (lowest_high, highest_high), (lowest_low, highest_low) = self.high_pass, self.low_pass
        hertz = torch.where(
            high_pass,
            scale(uniforms[:, 1], low=lowest_high, high=highest_high),
            scale(uniforms[:, 1], low=lowest_low, high=highest_low),
        )
        return apply_filters(audio, cutoffs=hertz / self.sample_rate, high_pass=high_pass)


def apply_filters(audio: Tensor, *, cutoffs: Tensor, high_pass: Tensor) -> Tensor:
    """Filter audio (batch, samples) by linear-phase filters without delay.

    `cutoffs` (batch,) are in cycles per sample, above 0 and at most 0.5; `high_pass` (batch,) is true for examples that
    keep what is above. Filters are sincs under a Hann window of `ZEROS` zero crossings, so the transition is about as
    wide as half the cutoff; a high-pass is the audio minus its low-pass. Beyond its ends audio counts as constant.
    """
    half = int(ZEROS / 2 / float(cutoffs.min()))
    length = fast_length(audio.shape[-1] + 2 * half)
    kernels = _kernels(cutoffs, high_pass, half).to(audio)
    padded = torch.cat([audio[:, :1].expand(-1, half), audio, audio[:, -1:].expand(-1, half)], dim=1)
    spectrum = torch.fft.rfft(padded, length)
    spectrum *= torch.fft.rfft(kernels, length)
    return torch.fft.irfft(spectrum, length)[:, 2 * half : 2 * half + audio.shape[-1]]


def _kernels(cutoffs: Tensor, high_pass: Tensor, half: int) -> Tensor:
    """Compute impulse responses (batch, 2 * half + 1), each no longer than its cutoff needs."""
    time = torch.arange(-half, half + 1, dtype=torch.float64)
    halves = torch.floor(ZEROS / 2 / cutoffs)[:, None]
    window = 0.5 + 0.5 * torch.cos(math.pi * (time / halves).clamp(-1, 1))
    low = torch.sinc(2 * cutoffs[:, None] * time) * window
    low /= low.sum(dim=-1, keepdim=True)
    unit = (time == 0).to(low)
    return torch.where(high_pass[:, None], unit - low, low)
