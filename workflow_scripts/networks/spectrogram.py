"""The time-frequency front end of the separation U-Net (Garoufis et al. 2024, section 3; the MSSPT code).

The window is a periodic Hann window; `sizes.spectrogram` has frames and bins.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.networks.sizes.spectrogram import BINS, HOP, MELS, SAMPLE_RATE, WINDOW, sample_count

SMALLEST = 1e-4  # added to magnitudes before their logarithm, which is taken to base 10 throughout
MIN_HZ, MAX_HZ = 100.0, 7800.0  # of the mel bands
_LN_10 = 2.3026  # as the U-Net's code rounds it


def compute_stft(audio: Tensor) -> Tensor:
    """Compute the short-time Fourier transform, complex64 (batch, frames, 257), of audio (batch, samples)."""
    with torch.autocast(audio.device.type, enabled=False):
        frames = audio.float().unfold(-1, WINDOW, HOP)
        return torch.fft.rfft(frames * _hann(audio.device), dim=-1)


def invert_stft(spectrum: Tensor) -> Tensor:
    """Compute audio (batch, 160 (frames - 1) + 512) from its short-time Fourier transform (batch, frames, 257).

    Each sample is weighted as if all of the four frames around it were there, as TensorFlow does it: the first and last
    352 samples, where some are missing, come out softer.
    """
    with torch.autocast(spectrum.device.type, enabled=False):
        frames = torch.fft.irfft(spectrum, n=WINDOW, dim=-1) * _inverse_window(spectrum.device)
        length = sample_count(frames.shape[1])
        # overlap-add
        audio = functional.fold(frames.transpose(1, 2), (1, length), kernel_size=(1, WINDOW), stride=(1, HOP))
        return audio[:, 0, 0]


def apply_masks(spectrum: Tensor, mask: Tensor) -> Tensor:
    """Return the spectrum of each source (batch, sources, frames, 257) by masks (batch, sources, frames, 256) on a
    mixture's (batch, frames, 257).

    Masks scale the magnitude and leave the mixture's phase; its highest bin passes unchanged into each source.
    """
    return spectrum[:, None] * functional.pad(mask.float(), (0, 1), value=1.0)


def unet_log10(magnitude: Tensor) -> Tensor:
    """Compute the logarithm of magnitudes that is the input of the U-Net."""
    return torch.log(magnitude + SMALLEST) / _LN_10


@functools.cache
def mel_matrix() -> Tensor:
    """Return weights (256, 128) from bins to mel bands between 100 and 7800 Hz, triangles on the mel scale, lowest bin
    0.

    TensorFlow's matrix for 256 bins from 0 to 8000 Hz, as the code asks for it. The bins end one below 8000 Hz, so all
    bands lie 0.4 % too low; the published weights have learned from it.
    """
    # bins, and lower edge, centre and upper edge of each band, in mel
    bins = _mel(torch.linspace(0, SAMPLE_RATE / 2, BINS, dtype=torch.float64)[1:, None])
    low, high = _mel(torch.tensor([MIN_HZ, MAX_HZ], dtype=torch.float64))
    edges = torch.linspace(float(low), float(high), MELS + 2, dtype=torch.float64)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    # rising and falling side of each triangle
    weights = torch.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)).clamp(min=0)
    return functional.pad(weights, (0, 0, 1, 0)).float()


def _mel(hertz: Tensor) -> Tensor:
    """Convert Hz to mel on HTK's scale."""
    return 1127.0 * torch.log1p(hertz / 700.0)


def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, periodic=True, device=device)


def _inverse_window(device: torch.device) -> Tensor:
    """Return the window of the inverse: the Hann window over the sum of the squared windows that overlap at each
    sample.
    """
    hann = _hann(device)
    overlapping = math.ceil(WINDOW / HOP)
    sums = functional.pad(hann.square(), (0, overlapping * HOP - WINDOW)).reshape(overlapping, HOP).sum(0)
    return hann / sums.repeat(overlapping)[:WINDOW]
