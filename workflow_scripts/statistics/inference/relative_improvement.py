"""Relative improvement: the mean of one method over that of another in percent, over paired trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    ConfidenceInterval,
    t_quantile,
)


@dataclass(frozen=True, kw_only=True)
class RelativeImprovement:
    """Improvement in percent over `n` pairs, not-a-number where there is none, and its interval."""

    n: int
    percent: float
    ci: ConfidenceInterval


def relative_improvement(
    of: Sequence[float] | np.ndarray, over: Sequence[float] | np.ndarray, *, level: float = CONFIDENCE_LEVEL
) -> RelativeImprovement:
    """Return 100 * (mean(of) / mean(over) - 1) of two equally long paired samples, with Fieller's interval (1954).

    The interval holds the ratios r for which a paired t test finds no difference between `of` and r times `over`. So
    it is exact for normal noise however the two sides are correlated, needs no random numbers, and excludes 0 % just
    when the t interval of the plain paired difference excludes zero. No end is below -100 %, as metrics are not below
    zero. No improvement where the mean of `over` is not above zero; no interval with fewer than three pairs, or where
    the mean of `over` itself may be zero.
    """
    treatment, reference = (np.asarray(side, np.float64) for side in (of, over))
    n = len(treatment)
    mean, base = (float(side.mean()) if n else math.nan for side in (treatment, reference))
    if not base > 0:
        return RelativeImprovement(n=n, percent=math.nan, ci=ConfidenceInterval.unknown())
    ratios = _ratio_interval(treatment, reference, level) if n >= MIN_REPLICATES else (math.nan, math.nan)
    low, high = (100 * (float(np.maximum(ratio, 0.0)) - 1) for ratio in ratios)
    return RelativeImprovement(n=n, percent=100 * (mean / base - 1), ci=ConfidenceInterval(low=low, high=high))


def _ratio_interval(treatment: np.ndarray, reference: np.ndarray, level: float) -> tuple[float, float]:
    """Return both ends of the interval of the ratio r: roots of (mean(of) - r mean(over))^2 = t^2 var(of - r over) / n.

    In powers of r: square r^2 - 2 product r + constant = 0.
    """
    mean, base = treatment.mean(), reference.mean()
    squared_errors = np.cov(treatment, reference) * t_quantile(len(treatment) - 1, level) ** 2 / len(treatment)
    square = base**2 - squared_errors[1, 1]
    product = mean * base - squared_errors[0, 1]
    constant = mean**2 - squared_errors[0, 0]
    if not square > 0:
        return math.nan, math.nan
    root = math.sqrt(max(product**2 - square * constant, 0.0))  # below zero by rounding alone
    return float((product - root) / square), float((product + root) / square)
