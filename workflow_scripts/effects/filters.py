"""Low-pass and high-pass filters."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workflow_scripts.effects.fourier import fast_length

ZEROS = 8  # zero crossings of the sinc within the window, on both sides together: the default of the julius library


def filtered(audio: Tensor, *, cutoffs: Tensor, high_pass: Tensor) -> Tensor:
    """Audio (batch, samples) through linear-phase filters without delay.

    `cutoffs` (batch,) are in cycles per sample, above 0 and at most 0.5; `high_pass` (batch,) tells the examples that
    keep what is above. Filters are sincs under a Hann window of `ZEROS` zero crossings, so the transition is about as
    wide as half the cutoff; a high-pass is what its low-pass leaves. Beyond its ends audio counts as constant.
    """
    half = int(ZEROS / 2 / float(cutoffs.min()))
    length = fast_length(audio.shape[-1] + 2 * half)
    kernels = _kernels(cutoffs, high_pass, half).to(audio)
    padded = torch.cat([audio[:, :1].expand(-1, half), audio, audio[:, -1:].expand(-1, half)], dim=1)
    spectrum = torch.fft.rfft(padded, length)
    spectrum *= torch.fft.rfft(kernels, length)
    return torch.fft.irfft(spectrum, length)[:, 2 * half : 2 * half + audio.shape[-1]]


def _kernels(cutoffs: Tensor, high_pass: Tensor, half: int) -> Tensor:
    """Impulse responses (batch, 2 * half + 1), each only as long as its cutoff asks for."""
    time = torch.arange(-half, half + 1, dtype=torch.float64)
    halves = torch.floor(ZEROS / 2 / cutoffs)[:, None]
    window = 0.5 + 0.5 * torch.cos(math.pi * (time / halves).clamp(-1, 1))
    low = torch.sinc(2 * cutoffs[:, None] * time) * window
    low /= low.sum(dim=-1, keepdim=True)
    unit = (time == 0).to(low)
    return torch.where(high_pass[:, None], unit - low, low)
