"""Spectral centroid, flatness and harmonic energy of batches of power spectra, on any device.

All functions take the result of `spectral.power_spectrum`, (..., 1025, frames), and return float32 (..., channels,
frames). Centroid and flatness equal librosa 0.11.
"""

from __future__ import annotations

import librosa
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.features import spectral
from workflow_scripts.features.frames import N_FFT
from workflow_scripts.features.precision import without_autocast

FLOOR = 1e-10  # power; librosa's `amin` of the flatness
FRAMES_PER_STEP = 4  # separation looks at every fourth frame: 29 ms at 22,050 Hz, about librosa's default hop of 23 ms
KERNEL = 31  # steps and bands: librosa's default


@without_autocast
def spectral_centroid(power: Tensor, *, sample_rate: int) -> Tensor:
    """Compute `librosa.feature.spectral_centroid` in Hz, (..., 1, frames); 0 in silent frames."""
    magnitude = power.sqrt()
    frequencies = torch.from_numpy(librosa.fft_frequencies(sr=sample_rate, n_fft=N_FFT)).to(power)
    total = magnitude.sum(dim=-2, keepdim=True)
    return (frequencies @ magnitude).unsqueeze(-2) / total.clamp(min=torch.finfo(power.dtype).tiny)


@without_autocast
def spectral_flatness(power: Tensor) -> Tensor:
    """Compute `librosa.feature.spectral_flatness`, (..., 1, frames): 1 for noise, near 0 for a tone."""
    floored = power.clamp(min=FLOOR)
    return floored.log().mean(dim=-2, keepdim=True).exp() / floored.mean(dim=-2, keepdim=True)


@without_autocast
def harmonic_energy(power: Tensor, *, sample_rate: int) -> Tensor:
    """Compute the energy of the harmonic part of a mel spectrum and of all of it, (..., 2, frames).

    Median filters separate what lasts from what is broad (Fitzgerald 2010), as `librosa.decompose.hpss` does, but on
    128 mel bands, which costs an eighth, and on every fourth frame, whose values the three after it share.
    """
    decibels = spectral.log_mel_spectrum(power=power[..., ::FRAMES_PER_STEP], sample_rate=sample_rate)
    bands = 10 ** (decibels / 10)
    lasting, broad = (_median(bands, dim=dim).square() for dim in (-1, -2))
    share = lasting / (lasting + broad).clamp(min=torch.finfo(bands.dtype).tiny)
    energy = torch.stack([(share * bands).sum(dim=-2), bands.sum(dim=-2)], dim=-2)
    return energy.repeat_interleave(FRAMES_PER_STEP, dim=-1)[..., : power.shape[-1]]


def _median(values: Tensor, *, dim: int) -> Tensor:
    """Return the running median over `KERNEL` values along a dimension (-1 or -2); the ends are continued."""
    moved = values.movedim(dim, -1)
    flat = moved.reshape(-1, 1, moved.shape[-1])
    padded = F.pad(flat, (KERNEL // 2, KERNEL // 2), mode="replicate").squeeze(1)
    return padded.unfold(-1, KERNEL, 1).median(dim=-1).values.reshape(moved.shape).movedim(-1, dim)
