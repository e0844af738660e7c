"""Means and their t intervals.

What is claimed: a 95 % interval covers 95 % for normal noise whatever the number of values; from three values on, 93 to
97 % for noise with a skewness up to 1, and for the difference of two samples with equally skewed noise, which is
symmetric. One sample of more skewed values is not claimed: with exponential noise (skewness 2) it covers 88 to 90 % at
3 to 10 values.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

CONFIDENCE_LEVEL = 0.95
MIN_REPLICATES = 3  # with two values the interval is 18 standard errors wide: no evidence, only its appearance


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean of `n` values, their standard deviation and the interval; not-a-number where there is none."""

    n: int
    mean: float
    std: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Intervals of many samples of `n` values each: the fields of `Interval` as arrays, one entry per sample."""

    n: int
    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.mean)

    def __getitem__(self, number: int) -> Interval:
        """Return the interval of one sample."""
        return Interval(
            n=self.n,
            mean=float(self.mean[number]),
            std=float(self.std[number]),
            low=float(self.low[number]),
            high=float(self.high[number]),
        )


def mean_interval(values: Sequence[float] | np.ndarray, *, level: float = CONFIDENCE_LEVEL) -> Interval:
    """Mean of independent `values` with its two-sided Student t interval, in the unit of the values.

    Fewer than `FEWEST` values, or one that is not finite, give no interval; fewer than two give no deviation.
    """
    return mean_intervals(np.asarray(values, np.float64)[None], level=level)[0]


def mean_intervals(values: np.ndarray, *, level: float = CONFIDENCE_LEVEL) -> Intervals:
    """Return `mean_interval` of every row of `values` (samples, values), all at once."""
    array = np.ascontiguousarray(values, np.float64)
    samples, n = array.shape
    none = np.full(samples, np.nan)
    with np.errstate(invalid="ignore"):  # infinities in a row: no interval
        mean = array.mean(axis=1) if n else none
        std = array.std(axis=1, ddof=1) if n > 1 else none
        if n < MIN_REPLICATES:
            return Intervals(n=n, mean=mean, std=std, low=none, high=none)
        half_width = t_quantile(n - 1, level) * std / math.sqrt(n)
        return Intervals(n=n, mean=mean, std=std, low=mean - half_width, high=mean + half_width)


@functools.cache
def t_quantile(df: float, level: float) -> float:
    """Half width, in standard errors, of a two-sided t interval; `degrees` need not be whole."""
    return float(special.stdtrit(df, (1 + level) / 2))


def satterthwaite(variances: Sequence[float] | np.ndarray, df: Sequence[float] | np.ndarray) -> float:
    """Degrees of freedom of a sum of independent variance estimates (Satterthwaite 1946); infinite where it is 0.

    An estimate that is subtracted enters with its sign.
    """
    parts = np.asarray(variances, np.float64)
    total = float(parts.sum())
    if total == 0:
        return math.inf
    shares = parts / total  # shares, not squares: the squares of tiny variances vanish
    return float(1 / (shares**2 / np.asarray(df, np.float64)).sum())
