"""Tests of the difference of two samples, paired or not, and the correction for several tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    ConfidenceInterval,
    SampleMean,
    SampleMeans,
    mean_interval,
    mean_intervals,
    satterthwaite,
)

ZERO_VARIANCE = 1e-12  # metrics are of order 1, so a smaller standard deviation is rounding
MAX_EXACT_PAIRS = 20  # whose 2 ** 20 sign patterns are all tried: half a million sums take 10 ms
RANDOM_PATTERNS = 99_999  # of signs, for more pairs: the standard error of a p of 0.05 is 0.0007
SUMS_AT_ONCE = 2**21  # of 8 bytes: 16 MiB


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Mean difference with its interval, Cohen's d_z (mean over standard deviation of the differences) and the t test.

    `p_sign_flip` is the p of the sign-flip permutation test, which needs no normal noise, as a cross-check. Values that
    were not tested have no p (not-a-number).
    """

    difference: SampleMean
    effect: float
    p: float
    p_sign_flip: float


@dataclass(frozen=True, kw_only=True)
class PairedTests:
    """The fields of `PairedTest` for many comparisons, one entry each."""

    difference: SampleMeans
    effect: np.ndarray
    p: np.ndarray
    p_sign_flip: np.ndarray

    def __len__(self) -> int:
        """Return the number of comparisons."""
        return len(self.p)

    def __getitem__(self, number: int) -> PairedTest:
        """Return one comparison."""
        return PairedTest(
            difference=self.difference[number],
            effect=float(self.effect[number]),
            p=float(self.p[number]),
            p_sign_flip=float(self.p_sign_flip[number]),
        )


@dataclass(frozen=True, kw_only=True)
class WelchTest:
    """Difference of the means of two samples of `n` values, by Welch's test.

    `std` is the root of the mean of the two variances, `effect` the difference in units of it (Cohen's d for unequal
    variances). Values that were not tested have no p (not-a-number).
    """

    n: tuple[int, int]
    mean: float
    std: float
    ci: ConfidenceInterval
    effect: float
    p: float


def paired_test(
    treatment: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    *,
    level: float = CONFIDENCE_LEVEL,
    seed: int = 0,
) -> PairedTest:
    """Compare two equally long samples pair by pair: `treatment` minus `reference`.

    Too few pairs for an interval give no effect and no p. Differences that are all zero give p = 1; differences
    that are all the same and not zero leave nothing to test against, so they give no p. `seed` matters only above
    `MAX_EXACT_PAIRS` pairs (see `sign_flip_test`).
    """
    sides = (np.asarray(side, np.float64)[None] for side in (treatment, reference))
    return paired_tests(*sides, level=level, seed=seed)[0]


def paired_tests(
    treatment: np.ndarray, reference: np.ndarray, *, level: float = CONFIDENCE_LEVEL, seed: int = 0
) -> PairedTests:
    """Return `paired_test` of every row of two arrays (comparisons, pairs), all at once."""
    differences = np.asarray(treatment, np.float64) - np.asarray(reference, np.float64)
    means = mean_intervals(differences, level=level)
    known = np.isfinite(means.ci.low)
    varying = known & (means.std > ZERO_VARIANCE)
    effect, p, p_sign_flip = (np.full(len(differences), np.nan) for _ in range(3))
    # d_z and the t statistic t = d_z sqrt(n)
    effect[varying] = means.mean[varying] / means.std[varying]
    p[varying] = two_sided_p(effect[varying] * math.sqrt(means.n), means.n - 1)
    p_sign_flip[varying] = sign_flip_tests(differences[varying], seed=seed)
    # no difference in any pair
    equal = known & ~varying & (np.abs(means.mean) <= ZERO_VARIANCE)
    p[equal] = p_sign_flip[equal] = 1.0
    return PairedTests(difference=means, effect=effect, p=p, p_sign_flip=p_sign_flip)


def sign_flip_test(differences: Sequence[float] | np.ndarray, *, seed: int = 0) -> float:
    """Return the two-sided p of the sign-flip permutation test that `differences` (pairs,) are symmetric about zero.

    The share of sign patterns whose sum is at least as far from zero as the observed one. Up to `MAX_EXACT_PAIRS` pairs
    all patterns are tried, so the smallest p is 2 ** (1 - pairs): 0.25 with three pairs, 0.002 with ten. Above,
    `RANDOM_PATTERNS` are drawn from `seed`, the observed one counting as one more, so that p is never 0 and the test
    keeps its level (Phipson & Smyth 2010). NaN with fewer than three differences or one that is not finite.
    """
    return float(sign_flip_tests(np.asarray(differences, np.float64)[None], seed=seed)[0])


def sign_flip_tests(differences: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Return `sign_flip_test` of every row of `differences` (comparisons, pairs); all rows share the patterns."""
    rows = np.asarray(differences, np.float64)
    pairs = rows.shape[1]
    p = np.full(len(rows), np.nan)
    if pairs < MIN_REPLICATES:
        return p
    usable = np.flatnonzero(np.isfinite(rows).all(axis=1))
    exact = pairs <= MAX_EXACT_PAIRS
    share = _share_of_all_patterns if exact else _share_of_random_patterns
    at_once = max(1, SUMS_AT_ONCE // (2 ** (pairs - 1) if exact else RANDOM_PATTERNS))
    for start in range(0, len(usable), at_once):
        chunk = usable[start : start + at_once]
        p[chunk] = share(rows[chunk], seed)
    return p


def _share_of_all_patterns(rows: np.ndarray, _: int) -> np.ndarray:
    """Try every pattern. The first sign is fixed: turning all signs changes no distance from zero."""
    sums = rows[:, :1]
    for column in rows.T[1:, :, None]:
        sums = np.concatenate([sums + column, sums - column], axis=1)
    return (np.abs(sums) >= _observed_distance(rows)).mean(axis=1)


def _share_of_random_patterns(rows: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signs = rng.integers(2, size=(RANDOM_PATTERNS, rows.shape[1]), dtype=np.int8) * 2 - 1
    sums = rows @ signs.astype(np.float64).T
    return (1 + (np.abs(sums) >= _observed_distance(rows)).sum(axis=1)) / (1 + RANDOM_PATTERNS)


def _observed_distance(rows: np.ndarray) -> np.ndarray:
    """Return the distance from zero of the observed sums, (rows, 1), less what rounding may have added."""
    return np.abs(rows.sum(axis=1, keepdims=True)) - 1e-12 * np.abs(rows).sum(axis=1, keepdims=True)


def welch_test(
    treatment: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    *,
    level: float = CONFIDENCE_LEVEL,
) -> WelchTest:
    """Compare two samples that have no pairs, `treatment` minus `reference`, by Welch's t test (variances may differ).

    Fewer than three values on a side, or one that is not finite, give no interval, effect or p; samples that do not
    vary are treated as by `paired_test`.
    """
    # difference of the means, in units of the root mean square of both standard deviations
    left, right = mean_interval(treatment), mean_interval(reference)
    n, mean = (left.n, right.n), left.mean - right.mean
    std = math.sqrt((left.std**2 + right.std**2) / 2)

    # too few or infinite values
    pooled_df = float(sum(n) - 2)
    if not (left.ci.is_known and right.ci.is_known):
        return WelchTest(
            n=n, mean=mean, std=std, ci=ConfidenceInterval.unknown(df=pooled_df), effect=math.nan, p=math.nan
        )

    # standard error; values that do not vary leave nothing to test against
    variances = [side.std**2 / side.n for side in (left, right)]
    std_error = math.sqrt(sum(variances))
    if std <= ZERO_VARIANCE:
        exact = ConfidenceInterval(low=mean, high=mean, std_error=std_error, df=pooled_df)
        p = 1.0 if abs(mean) <= ZERO_VARIANCE else math.nan
        return WelchTest(n=n, mean=mean, std=std, ci=exact, effect=math.nan, p=p)

    # t test with the degrees of freedom of Welch and Satterthwaite
    df = satterthwaite(variances, [left.n - 1, right.n - 1])
    return WelchTest(
        n=n,
        mean=mean,
        std=std,
        ci=ConfidenceInterval.from_estimate(mean, std_error=std_error, df=df, level=level),
        effect=mean / std,
        p=t_test_p(mean, std_error=std_error, df=df),
    )


def t_test_p(mean: float, *, std_error: float, df: float) -> float:
    """Return the two-sided p of a t test that a mean is zero.

    No standard error leaves nothing to test against (NaN), unless the mean is zero too (1).
    """
    if std_error <= ZERO_VARIANCE:
        return 1.0 if abs(mean) <= ZERO_VARIANCE else math.nan
    return float(two_sided_p(mean / std_error, df))


def two_sided_p(t: np.ndarray | float, df: float) -> np.ndarray:
    """Return the two-sided p of t statistics."""
    return 2 * scipy.special.stdtr(df, -np.abs(t))


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
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
