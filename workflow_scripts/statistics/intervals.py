"""Means and their t intervals."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
FEWEST = 3  # with two values the interval is 18 standard errors wide: no evidence, only its appearance


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean of `n` values, their standard deviation and the interval; not-a-number where there is none."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


def mean_interval(values: Sequence[float] | np.ndarray, *, level: float = LEVEL) -> Interval:
    """Mean of independent `values` with its two-sided Student t interval, in the unit of the values.

    Fewer than `FEWEST` values, or one that is not finite, give no interval; fewer than two give no deviation.
    """
    array = np.asarray(values, np.float64)
    n = len(array)
    mean = float(array.mean()) if n else math.nan
    sd = float(array.std(ddof=1)) if n > 1 else math.nan
    if n < FEWEST or not math.isfinite(mean):
        return Interval(n=n, mean=mean, sd=sd, low=math.nan, high=math.nan)
    half_width = _quantile(n - 1, level) * sd / math.sqrt(n)
    return Interval(n=n, mean=mean, sd=sd, low=mean - half_width, high=mean + half_width)


@functools.cache
def _quantile(degrees: int, level: float) -> float:
    return float(stats.t.ppf((1 + level) / 2, degrees))
