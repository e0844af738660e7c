"""The time-frequency front end of the separation U-Net (Garoufis et al. 2024, section 3; the MSSPT code).

The window is a periodic Hann window; `sizes.spectrogram` has frames and bins.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from workflow_scripts.networks.sizes.spectrogram import BINS, HOP, MELS, SAMPLE_RATE, WINDOW, sample_count

SMALLEST = 1e-4  # added to magnitudes before their logarithm, which is taken to base 10 throughout
MIN_HZ, MAX_HZ = 100.0, 7800.0  # of the mel bands
_LN_10 = 2.3026  # as the U-Net's code rounds it
EIGEN_VALUES = 8  # a register of AVX, for which TensorFlow's packages are built
#: of Eigen's log(1 + x) as x times a ratio of polynomials, highest power first
EIGEN_NUMERATOR = (0.18256296349849254, 1.0000000190281063, 1.0000000190281136)
EIGEN_DENOMINATOR = (0.049616247954120038, 0.59923249590823520, 1.4999999999999927, 1.0)

FloatArray = NDArray[np.float32]


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

    TensorFlow's matrix for 256 bins from 0 to 8000 Hz, as the code asks for it, to the last bit. The bins end one below
    8000 Hz, so all bands lie 0.4 % too low; the published weights have learned from it. Float32 throughout: edges lie
    only 21 mel apart at up to 2814, so its rounding moves weights by up to 2e-5.
    """
    # bins, and lower edge, centre and upper edge of each band, in mel
    bins = _mel(_linspace(np.float32(0), np.float32(SAMPLE_RATE / 2), BINS)[1:])[:, None]
    low, high = _mel(np.array([MIN_HZ, MAX_HZ], np.float32))
    edges = _linspace(low, high, MELS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    # rising and falling side of each triangle
    weights = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)).clip(min=0)
    return torch.from_numpy(np.pad(weights, ((1, 0), (0, 0))))


def _linspace(first: np.float32, last: np.float32, count: int) -> FloatArray:
    """Return `count` equidistant numbers, rounded as TensorFlow's are: multiples of the distance are added to the
    first.
    """
    values = first + (last - first) / np.float32(count - 1) * np.arange(count, dtype=np.float32)
    values[-1] = last
    return values


def _mel(hertz: FloatArray) -> FloatArray:
    """Convert Hz to mel on HTK's scale."""
    return np.float32(1127) * _log(1 + hertz / np.float32(700))


def _log(values: FloatArray) -> FloatArray:
    """Compute natural logarithms with the errors of TensorFlow's on x86, which are one unit of the last place in a
    tenth of the cases.

    There Eigen takes eight values at a time, by a ratio of polynomials for the fraction; the C library takes the rest.
    """
    # fractions from the root of 1/2 to that of 2, and powers of 2
    fractions, powers = np.frexp(values)
    low = fractions < np.float32(math.sqrt(0.5))
    excess, powers = np.where(low, 2 * fractions, fractions) - np.float32(1), powers - low
    ratio = excess * _polynomial(excess, EIGEN_NUMERATOR) / _polynomial(excess, EIGEN_DENOMINATOR)
    logarithms = powers.astype(np.float32) * np.float32(math.log(2)) + ratio
    rest = len(values) - len(values) % EIGEN_VALUES
    logarithms[rest:] = np.log(values[rest:].astype(np.float64))
    return logarithms


def _polynomial(values: FloatArray, coefficients: Sequence[float]) -> FloatArray:
    """Evaluate a polynomial, highest power first, by Horner's rule in float32."""
    result = np.full_like(values, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * values + np.float32(coefficient)
    return result


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
