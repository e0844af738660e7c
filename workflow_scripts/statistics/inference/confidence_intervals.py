"""Means and their t intervals, which stay within the possible values of what they estimate.

A mean of shares (`ValueRange`) has a score interval: Wilson's (1927), with the variance known from `std_error` in place
of the binomial one and Student's quantile, as in complex surveys (Franco, Little, Louis & Slud 2019). It is the t
interval where that is short, leans to the middle where it is long, and never leaves the range. Near the ends of the
range it keeps the coverage that the plain t interval loses there (see below); so does the delta method on the logit
scale, whose intervals are up to 40 % longer and close to 100 % span nearly the whole range. A difference of means of
shares has the t interval cut to the possible differences, which changes neither its coverage nor its side of zero.

Claimed: a 95 % interval covers 95 % for normal noise whatever the number of values; from three values on, 93 to 97 %
for noise with a skewness up to 1, and for the difference of two samples with equally skewed noise, which is symmetric.
One sample of more skewed values is not claimed: with exponential noise (skewness 2) it covers 88 to 90 % at 3 to 10
values. For means of shares near an end of their range (beta distributed, mean 97 %, deviation 1 to 3 points) the
score interval covers 93 to 95 % at 3 to 10 values, where the t interval covers 88 to 95 %; for an accuracy of 96 % on
10 clusters of 4 clips 95 %, where the t interval covers 82 %, and on 40 clusters of 8 clips 92 %, where it covers 90 %.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

CONFIDENCE_LEVEL = 0.95
MIN_REPLICATES = 3  # with two values the interval is 18 standard errors wide: no evidence, only its appearance


@dataclass(frozen=True, kw_only=True)
class ValueRange:
    """Possible values of an estimate: from 0 to `largest`, or the difference of two such, from -`largest`."""

    largest: float
    difference: bool = False

    @property
    def smallest(self) -> float:
        """The smallest possible value."""
        return -self.largest if self.difference else 0.0


UNLIMITED = ValueRange(largest=math.inf, difference=True)


@dataclass(frozen=True, kw_only=True)
class ConfidenceInterval:
    """An interval, with the standard error and degrees of freedom behind it.

    Not-a-number where there is no interval, or where no standard error is behind it.
    """

    low: float
    high: float
    std_error: float = math.nan
    df: float = math.nan

    @classmethod
    def from_estimate(
        cls,
        mean: float,
        *,
        std_error: float,
        df: float,
        level: float = CONFIDENCE_LEVEL,
        within: ValueRange = UNLIMITED,
    ) -> ConfidenceInterval:
        """Return the two-sided Student t interval of an estimate; of no width where `std_error` is zero."""
        # nothing to multiply: degrees of freedom of a zero variance need not be defined
        half_width = t_quantile(df, level) * std_error if std_error else 0.0
        low, high = (float(end) for end in _ends(np.asarray(mean), np.asarray(half_width), within))
        return cls(low=low, high=high, std_error=std_error, df=df)

    @classmethod
    def unknown(cls, *, df: float = math.nan) -> ConfidenceInterval:
        """Return the interval of an estimate without a standard error."""
        return cls(low=math.nan, high=math.nan, df=df)

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)

    def truncate(self, within: ValueRange) -> ConfidenceInterval:
        """Return the part of the interval within the possible values."""
        low, high = (float(np.clip(end, within.smallest, within.largest)) for end in (self.low, self.high))
        return replace(self, low=low, high=high)

    def scale(self, factor: float) -> ConfidenceInterval:
        """Return the interval in another unit, in which numbers are `factor` times as large."""
        return ConfidenceInterval(
            low=factor * self.low, high=factor * self.high, std_error=factor * self.std_error, df=self.df
        )


@dataclass(frozen=True, kw_only=True)
class SampleMean:
    """Mean and standard deviation of `n` values, with the interval of the mean."""

    n: int
    mean: float
    std: float
    ci: ConfidenceInterval


@dataclass(frozen=True, kw_only=True, eq=False)
class ConfidenceIntervals:
    """The intervals of many estimates with the same degrees of freedom, as arrays with one entry per estimate."""

    low: np.ndarray
    high: np.ndarray
    std_error: np.ndarray
    df: float

    def __getitem__(self, number: int) -> ConfidenceInterval:
        """Return the interval of one estimate."""
        low, high, std_error = (float(values[number]) for values in (self.low, self.high, self.std_error))
        return ConfidenceInterval(low=low, high=high, std_error=std_error, df=self.df)


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleMeans:
    """The means of many samples of `n` values each: the numbers of `SampleMean` as arrays, one entry per sample."""

    n: int
    mean: np.ndarray
    std: np.ndarray
    ci: ConfidenceIntervals

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.mean)

    def __getitem__(self, number: int) -> SampleMean:
        """Return the mean of one sample."""
        return SampleMean(n=self.n, mean=float(self.mean[number]), std=float(self.std[number]), ci=self.ci[number])


def mean_interval(
    values: Sequence[float] | np.ndarray, *, level: float = CONFIDENCE_LEVEL, within: ValueRange = UNLIMITED
) -> SampleMean:
    """Estimate the mean of independent `values`, with its two-sided Student t interval in the unit of the values.

    Fewer than `MIN_REPLICATES` values, or one that is not finite, give no interval; fewer than two give no standard
    deviation.
    """
    return mean_intervals(np.asarray(values, np.float64)[None], level=level, within=within)[0]


def mean_intervals(
    values: np.ndarray, *, level: float = CONFIDENCE_LEVEL, within: ValueRange = UNLIMITED
) -> SampleMeans:
    """Return `mean_interval` of every row of `values` (samples, values), all at once."""
    array = np.ascontiguousarray(values, np.float64)
    samples, n = array.shape
    unknown = np.full(samples, np.nan)
    with np.errstate(invalid="ignore"):  # infinities in a row: no interval
        mean = array.mean(axis=1) if n else unknown
        std = array.std(axis=1, ddof=1) if n > 1 else unknown
        if n < MIN_REPLICATES:
            ci = ConfidenceIntervals(low=unknown, high=unknown, std_error=unknown, df=n - 1)
            return SampleMeans(n=n, mean=mean, std=std, ci=ci)
        half_width = t_quantile(n - 1, level) * std / math.sqrt(n)
        low, high = _ends(mean, half_width, within)
        ci = ConfidenceIntervals(low=low, high=high, std_error=std / math.sqrt(n), df=n - 1)
        return SampleMeans(n=n, mean=mean, std=std, ci=ci)


def _ends(mean: np.ndarray, half_width: np.ndarray, within: ValueRange) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of the intervals of means whose t interval has this half width."""
    largest = within.largest
    low, high = (np.clip(end, within.smallest, largest) for end in (mean - half_width, mean + half_width))
    if within.difference:
        return low, high
    # score interval: shares v with |v - share| <= half width x root of v (1 - v) / (share (1 - share))
    share = mean / largest
    variance = share * (1 - share)
    inside = (variance > 1e-12) & (half_width > 0)  # a mean at an end of the range, but for rounding, has no variance
    half = half_width / largest
    shrinkage = half**2 / np.where(inside, variance, 1.0)
    centre, reach = (share + shrinkage / 2) / (1 + shrinkage), np.hypot(half, shrinkage / 2) / (1 + shrinkage)
    # rounding must not move an end past the mean or out of the range
    score_low = np.clip((centre - reach) * largest, 0.0, mean)
    score_high = np.clip((centre + reach) * largest, mean, largest)
    return np.where(inside, score_low, low), np.where(inside, score_high, high)


@functools.cache
def t_quantile(df: float, level: float) -> float:
    """Return the half width, in standard errors, of a two-sided t interval; `df` need not be whole."""
    return float(scipy.special.stdtrit(df, (1 + level) / 2))


def satterthwaite(variances: Sequence[float] | np.ndarray, df: Sequence[float] | np.ndarray) -> float:
    """Return the degrees of freedom of a sum of independent variance estimates (Satterthwaite 1946).

    Infinite where the sum is 0. An estimate that is subtracted enters with its sign.
    """
    parts = np.asarray(variances, np.float64)
    total = float(parts.sum())
    if total == 0:
        return math.inf
    shares = parts / total  # shares, not squares: the squares of tiny variances vanish
    return float(1 / (shares**2 / np.asarray(df, np.float64)).sum())
