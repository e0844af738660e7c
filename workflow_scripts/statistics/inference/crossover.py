"""Training size above which one method is better than another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    ConfidenceInterval,
    t_quantile,
)

RESAMPLES = 2000  # the standard error of the quantile of a bound is 0.35 %
CrossoverOutcome = Literal["crossing", "always better", "never better", "undetermined"]


@dataclass(frozen=True, kw_only=True)
class Crossover:
    """The training size above which a method is better, in samples, and its interval over `n` paired trials.

    0 means below the smallest size measured (better everywhere), infinity beyond the largest (not better there).
    `crosses`, `always` and `never` are shares of the resamples, not-a-number where there is no interval.
    """

    outcome: CrossoverOutcome
    n: int
    size: float
    ci: ConfidenceInterval
    crosses: float
    always: float
    never: float


def find_crossover(
    sizes: Sequence[float] | np.ndarray,
    differences: np.ndarray,
    *,
    level: float = CONFIDENCE_LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Crossover:
    """Estimate the training size above which the treatment is better at every larger size.

    `differences` (sizes, trials) are treatment minus reference, `sizes` ascend. The mean difference over trials is
    interpolated linearly over the logarithm of the size; the crossover is the last size at which it passes zero from
    below. A treatment that is better at small sizes but not at the largest has no crossover ("never better").

    The interval is a percentile bootstrap (Efron 1979) that resamples whole trials, with all their sizes: trial k has
    the same seed and nested training sets at every size. The plain percentile interval is too narrow for few trials
    (false crossings in 25 % of cases with three), so deviations are widened to those of a t interval (Hesterberg 2015);
    with normal noise this covers 95 % at 3, 5 and 10 trials. The same `seed` gives the same interval.

    The outcome is "crossing" if both ends of the interval are between measured sizes, "always better" or "never better"
    if all of it is on one side of them, and otherwise "undetermined"; `crosses` is then the share of the resamples with
    a crossover. Fewer than three trials give no interval. `ValueError` for sizes that do not ascend or differences of
    another shape.
    """
    log_sizes, values = np.log(np.asarray(sizes, np.float64)), np.asarray(differences, np.float64)
    if values.ndim != 2 or len(values) != len(log_sizes) or not (np.diff(log_sizes) > 0).all():
        raise ValueError("crossing needs ascending sizes and one row of differences for each")
    n = values.shape[1]
    # the observed crossover
    mean = values.mean(axis=1, keepdims=True)
    observed = float(_last_upward_crossings(log_sizes, mean)[0])
    if n < MIN_REPLICATES:
        return Crossover(
            outcome="undetermined",
            n=n,
            size=math.exp(observed),
            ci=ConfidenceInterval.unknown(),
            crosses=math.nan,
            always=math.nan,
            never=math.nan,
        )
    # resampled means: whole trials with replacement, deviations expanded
    trials = np.random.default_rng(seed).integers(n, size=(resamples, n))
    resampled_means = mean + _expansion(n, level) * (values[:, trials].mean(axis=2) - mean)
    crossovers = _last_upward_crossings(log_sizes, resampled_means)
    # percentile interval; its ends are crossovers of resamples, never between two of them
    low = float(np.quantile(crossovers, (1 - level) / 2, method="lower"))
    high = float(np.quantile(crossovers, (1 + level) / 2, method="higher"))
    return Crossover(
        outcome=_outcome(observed, low, high),
        n=n,
        size=math.exp(observed),
        ci=ConfidenceInterval(low=math.exp(low), high=math.exp(high)),
        crosses=float(np.isfinite(crossovers).mean()),
        always=float((crossovers == -math.inf).mean()),
        never=float((crossovers == math.inf).mean()),
    )


def _expansion(n: int, level: float) -> float:
    """Return the ratio of a t interval of `n` values to the normal one of their uncorrected standard deviation."""
    return t_quantile(n - 1, level) / t_quantile(math.inf, level) * math.sqrt(n / (n - 1))


def _last_upward_crossings(log_sizes: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return for each column of `means` (sizes, columns) the log size after which all are positive, or infinity."""
    better = means > 0
    # first size of the unbroken run of better sizes that ends at the largest
    run = np.cumprod(better[::-1], axis=0).sum(axis=0)
    first = len(log_sizes) - run
    # linear interpolation between that size and the one before
    after = np.clip(first, 1, len(log_sizes) - 1) if len(log_sizes) > 1 else np.zeros_like(first)
    columns = np.arange(means.shape[1])
    below, above = means[after - 1, columns], means[after, columns]
    with np.errstate(invalid="ignore", divide="ignore"):  # columns without a crossing are overwritten
        step = log_sizes[after] - log_sizes[after - 1]
        between = log_sizes[after - 1] + step * -below / (above - below)
    return np.where(first == 0, -math.inf, np.where(first == len(log_sizes), math.inf, between))


def _outcome(observed: float, low: float, high: float) -> CrossoverOutcome:
    if math.isfinite(low) and math.isfinite(high):
        return "crossing"
    if observed == low == high:
        return "always better" if observed < 0 else "never better"
    return "undetermined"
