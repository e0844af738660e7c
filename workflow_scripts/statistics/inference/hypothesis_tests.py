"""Differences of two samples, paired or not, and the correction for asking several questions at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    Interval,
    Intervals,
    mean_interval,
    mean_intervals,
    satterthwaite,
    t_quantile,
)

ZERO_VARIANCE = 1e-12  # metrics are of order 1, so a smaller deviation is rounding
MOST_EXACT = 20  # pairs whose 2 ** 20 signs are all tried: half a million sums take 10 ms
FLIPS = 99_999  # random flips above that: the standard error of a p of 0.05 is 0.0007
SUMS_AT_ONCE = 2**21  # of 8 bytes: 16 MiB


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Mean difference with its interval, Cohen's d_z (mean over deviation of the differences) and the t test's p.

    `p_sign_flip` is the p of the sign-flip permutation test, which needs no normal noise, as a cross-check.
    """

    difference: Interval
    effect: float
    p: float
    p_sign_flip: float

    @property
    def tested(self) -> bool:
        """Whether there is a p value."""
        return math.isfinite(self.p)


@dataclass(frozen=True, kw_only=True)
class PairedRows:
    """The fields of `Paired` for many comparisons, one entry each."""

    difference: Intervals
    effect: np.ndarray
    p: np.ndarray
    p_sign_flip: np.ndarray

    def __len__(self) -> int:
        """Return the number of comparisons."""
        return len(self.p)

    def __getitem__(self, number: int) -> Paired:
        """Return one comparison."""
        return Paired(
            difference=self.difference[number],
            effect=float(self.effect[number]),
            p=float(self.p[number]),
            p_sign_flip=float(self.p_sign_flip[number]),
        )


@dataclass(frozen=True, kw_only=True)
class Unpaired:
    """Difference of two means by Welch's test.

    `difference.n` is the smaller sample's size and `difference.sd` the root of the mean of the two variances;
    `effect` is the difference in units of that deviation (Cohen's d for unequal variances); `n` are both sizes.
    """

    difference: Interval
    n: tuple[int, int]
    df: float
    effect: float
    p: float

    @property
    def tested(self) -> bool:
        """Whether there is a p value."""
        return math.isfinite(self.p)


def paired(
    treatment: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    *,
    level: float = CONFIDENCE_LEVEL,
    seed: int = 0,
) -> Paired:
    """Compare two equally long samples pair by pair: `better` minus `than`.

    Too few pairs for an interval give no effect and no p. Differences that are all zero give p = 1; differences
    that are all the same and not zero leave nothing to test against, so they give no p. `seed` matters only above
    `MOST_EXACT` pairs (see `sign_flip`).
    """
    sides = (np.asarray(side, np.float64)[None] for side in (treatment, reference))
    return paired_rows(*sides, level=level, seed=seed)[0]


def paired_rows(
    treatment: np.ndarray, reference: np.ndarray, *, level: float = CONFIDENCE_LEVEL, seed: int = 0
) -> PairedRows:
    """Return `paired` of every row of two arrays (comparisons, pairs), all at once."""
    differences = np.asarray(treatment, np.float64) - np.asarray(reference, np.float64)
    intervals = mean_intervals(differences, level=level)
    known = np.isfinite(intervals.low)
    spread = known & (intervals.std > ZERO_VARIANCE)
    effect, p, p_sign_flip = (np.full(len(differences), np.nan) for _ in range(3))
    effect[spread] = intervals.mean[spread] / intervals.std[spread]
    p[spread] = two_sided_p(effect[spread] * math.sqrt(intervals.n), intervals.n - 1)
    p_sign_flip[spread] = sign_flips(differences[spread], seed=seed)
    alike = known & ~spread & (np.abs(intervals.mean) <= ZERO_VARIANCE)
    p[alike] = p_sign_flip[alike] = 1.0
    return PairedRows(difference=intervals, effect=effect, p=p, p_sign_flip=p_sign_flip)


def sign_flip(differences: Sequence[float] | np.ndarray, *, seed: int = 0) -> float:
    """Two-sided p of the sign-flip permutation test that `differences` (pairs,) are symmetric about zero.

    The share of sign patterns whose sum is at least as far from zero as the observed one. Up to `MOST_EXACT` pairs all
    patterns are tried, so the smallest p is 2 ** (1 - pairs): 0.25 with three pairs, 0.002 with ten. Above, `FLIPS`
    random patterns are drawn from `seed`, the observed one counting as one more, so that p is never 0 and the test
    keeps its level (Phipson & Smyth 2010). NaN with fewer than three differences or one that is not finite.
    """
    return float(sign_flips(np.asarray(differences, np.float64)[None], seed=seed)[0])


def sign_flips(differences: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Return `sign_flip` of every row of `differences` (comparisons, pairs); every row meets the same flips."""
    rows = np.asarray(differences, np.float64)
    pairs = rows.shape[1]
    p = np.full(len(rows), np.nan)
    if pairs < MIN_REPLICATES:
        return p
    usable = np.flatnonzero(np.isfinite(rows).all(axis=1))
    share = _share_of_all if pairs <= MOST_EXACT else _share_of_some
    at_once = max(1, SUMS_AT_ONCE // (2 ** (pairs - 1) if pairs <= MOST_EXACT else FLIPS))
    for start in range(0, len(usable), at_once):
        chunk = usable[start : start + at_once]
        p[chunk] = share(rows[chunk], seed)
    return p


def _share_of_all(rows: np.ndarray, _: int) -> np.ndarray:
    """Try every pattern. The first sign stays: turning all signs changes no distance from zero."""
    sums = rows[:, :1]
    for column in rows.T[1:, :, None]:
        sums = np.concatenate([sums + column, sums - column], axis=1)
    return (np.abs(sums) >= _as_far(rows)).mean(axis=1)


def _share_of_some(rows: np.ndarray, seed: int) -> np.ndarray:
    signs = np.random.default_rng(seed).integers(2, size=(FLIPS, rows.shape[1]), dtype=np.int8) * 2 - 1
    sums = rows @ signs.astype(np.float64).T
    return (1 + (np.abs(sums) >= _as_far(rows)).sum(axis=1)) / (1 + FLIPS)


def _as_far(rows: np.ndarray) -> np.ndarray:
    """Distance from zero of the observed sums, (rows, 1), less what rounding may have added."""
    return np.abs(rows.sum(axis=1, keepdims=True)) - 1e-12 * np.abs(rows).sum(axis=1, keepdims=True)


def welch(
    treatment: Sequence[float] | np.ndarray, reference: Sequence[float] | np.ndarray, *, level: float = CONFIDENCE_LEVEL
) -> Unpaired:
    """Compare two samples that have no pairs, `better` minus `than`, by Welch's t test (variances may differ).

    Fewer than three values on a side, or one that is not finite, give no interval, effect or p; samples without spread
    are treated as by `paired`.
    """
    left, right = mean_interval(treatment), mean_interval(reference)
    n, mean = (left.n, right.n), left.mean - right.mean
    std = math.sqrt((left.std**2 + right.std**2) / 2)
    nothing = Interval(n=min(n), mean=mean, std=std, low=math.nan, high=math.nan)
    if not (left.known and right.known):
        return Unpaired(difference=nothing, n=n, df=math.nan, effect=math.nan, p=math.nan)
    if std <= ZERO_VARIANCE:
        exact = Interval(n=min(n), mean=mean, std=std, low=mean, high=mean)
        p = 1.0 if abs(mean) <= ZERO_VARIANCE else math.nan
        return Unpaired(difference=exact, n=n, df=math.nan, effect=math.nan, p=p)
    variances = [left.std**2 / left.n, right.std**2 / right.n]
    df = satterthwaite(variances, [left.n - 1, right.n - 1])
    error = math.sqrt(sum(variances))
    half_width = t_quantile(df, level) * error
    return Unpaired(
        difference=Interval(n=min(n), mean=mean, std=std, low=mean - half_width, high=mean + half_width),
        n=n,
        df=df,
        effect=mean / std,
        p=p_of_mean(mean, error=error, df=df),
    )


def p_of_mean(mean: float, *, error: float, df: float) -> float:
    """Two-sided p of a t test that a mean is zero.

    No standard error leaves nothing to test against (NaN), unless the mean is zero too (1).
    """
    if error <= ZERO_VARIANCE:
        return 1.0 if abs(mean) <= ZERO_VARIANCE else math.nan
    return float(two_sided_p(mean / error, df))


def two_sided_p(t: np.ndarray | float, df: float) -> np.ndarray:
    """Return the two-sided p of t statistics."""
    return 2 * special.stdtr(df, -np.abs(t))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p values of one family by Holm's method; one that is not a number was not tested.

    The same values as statsmodels' `multipletests`, which collects garbage in every call: 70 ms a family.
    """
    raw = np.asarray(p_values, np.float64)
    tested = np.isfinite(raw)
    adjusted = np.full(len(raw), np.nan)
    ascending = np.flatnonzero(tested)[np.argsort(raw[tested], kind="stable")]
    stepped = raw[ascending] * np.arange(len(ascending), 0, -1)
    adjusted[ascending] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted.tolist()
