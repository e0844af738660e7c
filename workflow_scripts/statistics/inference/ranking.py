"""Ranks of methods over data sets, with simultaneous intervals and groups of ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import CONFIDENCE_LEVEL, MIN_REPLICATES
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE

RESAMPLES = 4000  # 200 of them lie beyond the critical value: enough to place it within 2 to 3 %


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranks:
    """Methods by their equal-weight mean over the data sets; arrays are in the order the methods were given.

    `rank` is the plain rank (1 is best), `low` to `high` the ranks that hold simultaneously for all methods with the
    stated confidence. `distinguishable` (methods, methods) is true where two methods differ. `tie_groups` are methods,
    best first, of which no two are distinguishable; a method can be in several groups.
    """

    methods: tuple[str, ...]
    mean: np.ndarray
    rank: np.ndarray
    low: np.ndarray
    high: np.ndarray
    distinguishable: np.ndarray
    tie_groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetValues:
    """The values of all methods on one data set.

    `trials` (methods, trials) are paired by column: column k is trial k, or the mean of the k-th pre-training seed.
    `test_sets` (methods, resamples), if given, is the mean over the trials on each resample of the test clips, the same
    resamples for all methods (`Bootstrap.replicates.mean(axis=0)`).
    """

    trials: np.ndarray
    test_sets: np.ndarray | None = None


def rank_methods(
    methods: Sequence[str],
    datasets: Sequence[DatasetValues],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = CONFIDENCE_LEVEL,
) -> Ranks:
    """Rank methods by their equal-weight mean over `datasets`, higher being better, with intervals of their ranks.

    All pairs of methods are compared at once: two are distinguishable when their mean difference exceeds a critical
    number of its standard errors, which is the `level` quantile of the largest such ratio over all pairs under
    resampling. Each resample draws the trials of each data set with replacement (and one resample of its clips). Draws
    are widened by the root of n / (n - 1), since a resample of n values varies less than a fresh sample, and their
    errors redrawn by the chi distribution for each pair and data set, since errors estimated from few trials are now
    and then far too small. The chance of any false separation is then about 1 - `level`, or less. The interval of a
    rank runs from one plus the number of methods shown to be better to the number of methods less those shown to be
    worse.

    Data sets are drawn independently; where the columns are pre-training seeds that the data sets share, give their
    mean over the data sets as one. Resamples of clips repeat some noise that the variance between trials holds already,
    so with them there are a few more ties than there need be. `UserError` for fewer than three trials, missing values
    or unequal methods.
    """
    from scipy.stats import rankdata  # noqa: PLC0415  (planning needs no scipy.stats, which takes a second)

    _check(methods, datasets)
    rng = np.random.default_rng(seed)
    # observed means, and how far they stray under resampling: (methods,), (methods, resamples)
    mean = np.mean([values.trials.mean(axis=1) for values in datasets], axis=0)
    deviations = np.mean([_resample_deviations(values, resamples, rng) for values in datasets], axis=0)
    variances = _PairVariances.of(datasets)
    # largest |difference| / standard error over all pairs, in each resample
    largest = np.zeros(resamples)
    for method in range(len(methods) - 1):
        others = slice(method + 1, None)
        std_errors = variances.resample_std_errors(method, others, resamples, rng)
        ratios = np.abs(_in_std_errors(deviations[method] - deviations[others], std_errors))
        largest = np.maximum(largest, ratios.max(axis=0))
    # critical value: pairs beyond it are distinguishable, all at once
    critical = np.quantile(largest, level)
    shown_better = _in_std_errors(mean[:, None] - mean, variances.std_errors) > critical
    distinguishable = shown_better | shown_better.T
    best_first = np.argsort(-mean, kind="stable")
    return Ranks(
        methods=tuple(methods),
        mean=mean,
        rank=rankdata(-mean, method="min").astype(int),
        low=1 + shown_better.sum(axis=0),
        high=len(methods) - shown_better.sum(axis=1),
        distinguishable=distinguishable,
        tie_groups=tuple(
            tuple(methods[method] for method in group) for group in _tie_groups(best_first, distinguishable)
        ),
    )


def _check(methods: Sequence[str], datasets: Sequence[DatasetValues]) -> None:
    if not datasets:
        raise UserError("a ranking needs at least one data set")
    for number, values in enumerate(datasets, start=1):
        count, trials = values.trials.shape
        if count != len(methods) or trials < MIN_REPLICATES or not np.isfinite(values.trials).all():
            raise UserError(
                f"data set {number} of the ranking has {count} methods with {trials} trials; "
                f"give all {len(methods)} methods, at least {MIN_REPLICATES} trials and no missing value"
            )
        test_sets = values.test_sets
        if test_sets is not None and not (len(test_sets) == count and np.isfinite(test_sets).all()):
            raise UserError(
                f"data set {number} of the ranking: give clip resamples of all methods, all of them defined"
            )


def _resample_deviations(values: DatasetValues, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the means on resamples of the trials, and of the clips, less the observed ones: (methods, resamples)."""
    trials = values.trials.shape[1]
    times = rng.multinomial(trials, np.full(trials, 1 / trials), size=resamples).T
    centred = values.trials - values.trials.mean(axis=1, keepdims=True)
    deviations: np.ndarray = centred @ times / trials * math.sqrt(trials / (trials - 1))
    if values.test_sets is not None:
        chosen = rng.integers(values.test_sets.shape[1], size=resamples)
        deviations += (values.test_sets - values.test_sets.mean(axis=1, keepdims=True))[:, chosen]
    return deviations


@dataclass(frozen=True, kw_only=True, eq=False)
class _PairVariances:
    """Variances of the differences between the means of two methods.

    `of_trials` (data sets, methods, methods) are estimates with `df` (data sets,) degrees of freedom; `of_test_sets`
    (methods, methods) sums the data sets.
    """

    of_trials: np.ndarray
    df: np.ndarray
    of_test_sets: np.ndarray

    @classmethod
    def of(cls, datasets: Sequence[DatasetValues]) -> _PairVariances:
        of_trials = np.array([_difference_variances(values.trials) / values.trials.shape[1] for values in datasets])
        of_test_sets = [_difference_variances(values.test_sets) for values in datasets if values.test_sets is not None]
        return cls(
            of_trials=of_trials,
            df=np.array([values.trials.shape[1] - 1 for values in datasets]),
            of_test_sets=np.sum(of_test_sets, axis=0) if of_test_sets else np.zeros_like(of_trials[0]),
        )

    @property
    def std_errors(self) -> np.ndarray:
        """Standard errors of the differences between the means over the data sets, (methods, methods)."""
        return np.sqrt(self.of_trials.sum(axis=0) + self.of_test_sets) / len(self.df)

    def resample_std_errors(self, method: int, others: slice, resamples: int, rng: np.random.Generator) -> np.ndarray:
        """Draw errors as other trials would have given them, from one method to others: (others, resamples)."""
        total = np.repeat(self.of_test_sets[method, others, None], resamples, axis=1)
        for variances, df in zip(self.of_trials[:, method, others], self.df, strict=True):
            total += variances[:, None] * rng.chisquare(df, size=total.shape) / df
        std_errors: np.ndarray = np.sqrt(total) / len(self.df)
        return std_errors


def _difference_variances(values: np.ndarray) -> np.ndarray:
    """Return the variance of the difference of each pair of rows."""
    covariance = np.atleast_2d(np.cov(values))
    own = np.diagonal(covariance)
    return np.maximum(own[:, None] + own - 2 * covariance, 0.0)


def _in_std_errors(difference: np.ndarray, std_error: np.ndarray) -> np.ndarray:
    """Return differences in standard errors; where there is no error, none counts as 0 and any other as infinite."""
    exact = np.where(np.abs(difference) <= ZERO_VARIANCE, 0.0, np.copysign(np.inf, difference))
    varying = std_error > ZERO_VARIANCE
    return np.where(varying, difference / np.where(varying, std_error, 1), exact)


def _tie_groups(best_first: np.ndarray, distinguishable: np.ndarray) -> list[list[int]]:
    """Return the longest runs of neighbours in the order of which no two are distinguishable."""
    order = [int(method) for method in best_first]
    groups: list[list[int]] = []
    covered = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not distinguishable[order[end], order[start:end]].any():
            end += 1
        if end > covered:  # otherwise the run lies within the one before
            groups.append(order[start:end])
            covered = end
    return groups
