"""Lengths of the Fourier transforms of effects on spectra."""

from __future__ import annotations

from scipy.fft import next_fast_len

GRAIN = 32  # lengths without a factor of 32, such as 59,049 = 3 ** 10, take MKL up to four times as long


def fast_length(samples: int) -> int:
    """Return the smallest length of at least `samples` at which Fourier transforms are fast."""
    return GRAIN * int(next_fast_len(-(-samples // GRAIN), real=True))
