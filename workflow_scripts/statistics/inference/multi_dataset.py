"""Statements across data sets.

Data sets are fixed effects: the statement is about these sets, each counting the same, whatever its size or its number
of trials. Treating the sets as a sample of all sets would need many more of them than a study has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    mean_interval,
    satterthwaite,
    t_quantile,
)
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE, p_of_mean

RESAMPLES = 4000  # 200 of them lie beyond the critical value: enough to place it within 2 to 3 %


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean or a mean difference on one data set, with its standard error and degrees of freedom."""

    mean: float
    std_error: float
    df: float


@dataclass(frozen=True, kw_only=True)
class Across:
    """Equal-weight mean over data sets with its t interval and p; NaN, with the reason in words, where refused."""

    sets: int
    mean: float
    low: float
    high: float
    std_error: float
    df: float
    p: float
    reason: str

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranks:
    """Methods by their equal-weight mean over the data sets; arrays are in the order the methods were given.

    `rank` is the plain place (1 is best), `low` to `high` the places that hold simultaneously for all methods with the
    stated confidence. `apart` (methods, methods) is true where two methods were told apart. `groups` are the ties:
    methods, best first, of which no two were told apart; a method can be in several.
    """

    methods: tuple[str, ...]
    mean: np.ndarray
    rank: np.ndarray
    low: np.ndarray
    high: np.ndarray
    apart: np.ndarray
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class SetValues:
    """The values of all methods on one data set.

    `trials` (methods, trials) are paired by column: column k is trial k, or the k-th checkpoint's mean. `clips`
    (methods, resamples), if given, is the mean over the trials on each resample of the test clips, the same resamples
    for all methods (`clips.Bootstrap.resampled.mean(axis=0)`).
    """

    trials: np.ndarray
    clips: np.ndarray | None = None


def estimate(values: Sequence[float] | np.ndarray) -> Estimate:
    """Mean of independent values (paired differences by trial, say); the error is NaN with fewer than three."""
    interval = mean_interval(values)
    error = interval.std / math.sqrt(interval.n) if interval.known else math.nan
    return Estimate(mean=interval.mean, std_error=error, df=interval.n - 1)


def mean_over_sets(estimates: Mapping[str, Estimate], *, level: float = CONFIDENCE_LEVEL) -> Across:
    """Equal-weight mean of one estimate per data set, by the set's name.

    The estimates are taken for independent: different sets, and one checkpoint or none. Standard error: root of the sum
    of the squared errors over the number of sets; Welch-Satterthwaite degrees of freedom. Estimates that share their
    checkpoints are not independent: average each checkpoint over the sets first.
    """
    sets = len(estimates)
    means, errors, df = (
        np.array([getattr(each, name) for each in estimates.values()], np.float64)
        for name in ("mean", "std_error", "df")
    )
    unknown = [name for name, each in estimates.items() if not math.isfinite(each.std_error)]
    if not sets or unknown:
        mean = float(means.mean()) if sets else math.nan
        return _refused(sets, mean, f"no interval on {', '.join(unknown)}" if sets else "no data set")
    variances = (errors / sets) ** 2
    return _across(
        sets,
        Estimate(
            mean=float(means.mean()),
            std_error=math.sqrt(float(variances.sum())),
            df=satterthwaite(variances, df),
        ),
        level=level,
    )


def rank(
    methods: Sequence[str],
    sets: Sequence[SetValues],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = CONFIDENCE_LEVEL,
) -> Ranks:
    """Rank methods by their equal-weight mean over `sets`, higher being better, with what can be said about the places.

    All pairs of methods are compared at once: two are apart when their mean difference exceeds a critical number of its
    standard errors, which is the `level` quantile of the largest such ratio over all pairs under resampling. Each
    resample draws the trials of each set with replacement (and one resample of its clips). Draws are widened by the
    root of n / (n - 1), since a resample of n values varies less than a fresh sample, and their errors redrawn by the
    chi distribution for each pair and set, since errors estimated from few trials are now and then far too small. The
    chance of any false separation is then about 1 - `level`, or less. A place interval runs from one plus the number of
    methods shown to be better to the number of methods less those shown to be worse.

    Sets are drawn independently; where the columns are checkpoints that the sets share, give their mean over the sets
    as one set. Clip resamples repeat some noise that the spread between trials holds already, so with them there are
    a few more ties than there need be. `UserError` for fewer than three trials, missing values or unequal methods.
    """
    from scipy.stats import rankdata  # noqa: PLC0415  (planning needs no scipy.stats, which takes a second)

    _check(methods, sets)
    random = np.random.default_rng(seed)
    mean = np.mean([values.trials.mean(axis=1) for values in sets], axis=0)
    drawn = np.mean([_drawn(values, resamples, random) for values in sets], axis=0)
    spread = _Spread.of(sets)
    largest = np.zeros(resamples)
    for method in range(len(methods) - 1):
        others = slice(method + 1, None)
        errors = spread.replicates(method, others, resamples, random)
        ratios = np.abs(_in_errors(drawn[method] - drawn[others], errors))
        largest = np.maximum(largest, ratios.max(axis=0))
    better = _in_errors(mean[:, None] - mean, spread.errors) > np.quantile(largest, level)
    apart = better | better.T
    best_first = np.argsort(-mean, kind="stable")
    return Ranks(
        methods=tuple(methods),
        mean=mean,
        rank=rankdata(-mean, method="min").astype(int),
        low=1 + better.sum(axis=0),
        high=len(methods) - better.sum(axis=1),
        apart=apart,
        groups=tuple(tuple(methods[method] for method in group) for group in _ties(best_first, apart)),
    )


def interquartile_mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the middle half of all values (sets and trials together): a description that no single value sways.

    The least and greatest quarter, rounded down, are left out (Agarwal et al. 2021). NaN without values.
    """
    from scipy.stats import trim_mean  # noqa: PLC0415  (planning needs no scipy.stats, which takes a second)

    array = np.ravel(np.asarray(values, np.float64))
    return float(trim_mean(array, 0.25)) if len(array) else math.nan


def performance_profile(values: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Share of values (sets, trials) above each threshold, every set counting the same; (thresholds,).

    A description (Agarwal et al. 2021): a method whose profile lies above another's everywhere is better in every part
    of its distribution.
    """
    table = np.asarray(values, np.float64)
    above: np.ndarray = table[None] > np.asarray(thresholds, np.float64)[:, None, None]
    return above.mean(axis=2).mean(axis=1)


def _across(sets: int, made: Estimate, *, level: float) -> Across:
    half_width = t_quantile(made.df, level) * made.std_error if made.std_error else 0.0
    return Across(
        sets=sets,
        mean=made.mean,
        low=made.mean - half_width,
        high=made.mean + half_width,
        std_error=made.std_error,
        df=made.df,
        p=p_of_mean(made.mean, error=made.std_error, df=made.df),
        reason="" if made.std_error > ZERO_VARIANCE else "the values do not vary: no test",
    )


def _refused(sets: int, mean: float, reason: str) -> Across:
    nothing = dict.fromkeys(("low", "high", "std_error", "df", "p"), math.nan)
    return Across(sets=sets, mean=mean, reason=reason, **nothing)


def _check(methods: Sequence[str], sets: Sequence[SetValues]) -> None:
    if not sets:
        raise UserError("a ranking needs at least one data set")
    for number, values in enumerate(sets, start=1):
        count, trials = values.trials.shape
        if count != len(methods) or trials < MIN_REPLICATES or not np.isfinite(values.trials).all():
            raise UserError(
                f"data set {number} of the ranking has {count} methods with {trials} trials; "
                f"give all {len(methods)} methods, at least {MIN_REPLICATES} trials and no missing value"
            )
        if values.clips is not None and not (len(values.clips) == count and np.isfinite(values.clips).all()):
            raise UserError(
                f"data set {number} of the ranking: give clip resamples of all methods, all of them defined"
            )


def _drawn(values: SetValues, resamples: int, random: np.random.Generator) -> np.ndarray:
    """How far the means stray from what they are on resamples of the trials, and of the clips: (methods, resamples)."""
    trials = values.trials.shape[1]
    times = random.multinomial(trials, np.full(trials, 1 / trials), size=resamples).T
    centred = values.trials - values.trials.mean(axis=1, keepdims=True)
    strayed: np.ndarray = centred @ times / trials * math.sqrt(trials / (trials - 1))
    if values.clips is not None:
        chosen = random.integers(values.clips.shape[1], size=resamples)
        strayed += (values.clips - values.clips.mean(axis=1, keepdims=True))[:, chosen]
    return strayed


@dataclass(frozen=True, kw_only=True, eq=False)
class _Spread:
    """Variances of the differences between methods' means on each set, (sets, methods, methods).

    `of_trials` are estimates with `degrees` (sets,) of freedom; `of_clips` sums the sets (methods, methods).
    """

    of_trials: np.ndarray
    df: np.ndarray
    of_clips: np.ndarray

    @classmethod
    def of(cls, sets: Sequence[SetValues]) -> _Spread:
        of_trials = np.array([_variances(values.trials) / values.trials.shape[1] for values in sets])
        of_clips = [_variances(values.clips) for values in sets if values.clips is not None]
        return cls(
            of_trials=of_trials,
            df=np.array([values.trials.shape[1] - 1 for values in sets]),
            of_clips=np.sum(of_clips, axis=0) if of_clips else np.zeros_like(of_trials[0]),
        )

    @property
    def errors(self) -> np.ndarray:
        """Standard errors of the differences between the means over the sets, (methods, methods)."""
        return np.sqrt(self.of_trials.sum(axis=0) + self.of_clips) / len(self.df)

    def replicates(self, method: int, others: slice, resamples: int, random: np.random.Generator) -> np.ndarray:
        """Draw errors as other trials would have given them, from one method to others: (others, resamples)."""
        total = np.repeat(self.of_clips[method, others, None], resamples, axis=1)
        for variances, df in zip(self.of_trials[:, method, others], self.df, strict=True):
            total += variances[:, None] * random.chisquare(df, size=total.shape) / df
        errors: np.ndarray = np.sqrt(total) / len(self.df)
        return errors


def _variances(values: np.ndarray) -> np.ndarray:
    """Variance of the difference of each pair of rows."""
    covariance = np.atleast_2d(np.cov(values))
    own = np.diagonal(covariance)
    return np.maximum(own[:, None] + own - 2 * covariance, 0.0)


def _in_errors(difference: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Differences in standard errors; without error, none counts as 0 and any other as infinitely many."""
    sure = np.where(np.abs(difference) <= ZERO_VARIANCE, 0.0, np.copysign(np.inf, difference))
    return np.where(error > ZERO_VARIANCE, difference / np.where(error > ZERO_VARIANCE, error, 1), sure)


def _ties(best_first: np.ndarray, apart: np.ndarray) -> list[list[int]]:
    """Longest runs of neighbours in the order of which no two are apart."""
    order = [int(method) for method in best_first]
    groups: list[list[int]] = []
    covered = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not apart[order[end], order[start:end]].any():
            end += 1
        if end > covered:  # otherwise the run lies within the one before
            groups.append(order[start:end])
            covered = end
    return groups
