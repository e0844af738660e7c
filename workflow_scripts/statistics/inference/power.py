"""Number of pre-training seeds that show a difference between two methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import scipy

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import CONFIDENCE_LEVEL, MIN_REPLICATES, t_quantile

MAX_SEEDS = 10_000  # a study that needs more will not be run


@dataclass(frozen=True, kw_only=True)
class SeedsNeeded:
    """Pre-training seeds a side for a wanted power, and the range that is left by an imprecise standard deviation.

    None means more than `MAX_SEEDS`.
    """

    seeds: int | None
    low: int | None
    high: int | None


def seeds_needed(
    difference: float,
    *,
    std: float,
    df: float | None = None,
    power: float = 0.8,
    level: float = CONFIDENCE_LEVEL,
    sides: Literal[1, 2] = 2,
) -> SeedsNeeded:
    """Return how many pre-training seeds show a true `difference` with probability `power` by a two-sided t test.

    `std` is that of the mean of a pre-training seed (`CrossedMean.std`), in the unit of `difference`. `sides` = 2: that
    many seeds for each of two methods; 1: for one method, against something without seeds or in pairs. With the `df`
    degrees of freedom of the standard deviation (seeds - 1) comes the range of the answer over its 95 % interval, which
    after three seeds is wide. Never fewer than three, since fewer give no test here. `UserError` unless the difference
    is not zero and 0 < power < 1.
    """
    if not (difference and math.isfinite(difference) and std >= 0 and 0 < power < 1):
        raise UserError("seeds needed: give a difference other than zero, a deviation and a power between 0 and 1")
    effects = [abs(difference) / value if value else math.inf for value in _std_with_interval(std, df)]
    seeds, low, high = (_fewest_seeds(effect, power=power, level=level, sides=sides) for effect in effects)
    return SeedsNeeded(seeds=seeds, low=low, high=high)


def _std_with_interval(std: float, df: float | None) -> tuple[float, float, float]:
    """Return the standard deviation and the ends of its 95 % interval, by the chi-squared distribution."""
    if df is None:
        return std, std, std
    low, high = (math.sqrt(df / float(scipy.special.chdtri(df, tail))) for tail in (0.025, 0.975))
    return std, std * low, std * high


def _fewest_seeds(effect: float, *, power: float, level: float, sides: Literal[1, 2]) -> int | None:
    """Return the fewest seeds that reach the power for a difference of `effect` standard deviations, at least three."""
    if math.isinf(effect):
        return MIN_REPLICATES
    # double until the power is reached, then bisect
    low, high = MIN_REPLICATES - 1, MIN_REPLICATES
    while _power(high, effect, level=level, sides=sides) < power:
        low, high = high, high * 2
        if low >= MAX_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        reached = _power(middle, effect, level=level, sides=sides) >= power
        low, high = (low, middle) if reached else (middle, high)
    return high if high <= MAX_SEEDS else None


def _power(seeds: int, effect: float, *, level: float, sides: Literal[1, 2]) -> float:
    """Return the probability that a noncentral t lies beyond the two-sided critical value."""
    df, noncentrality = sides * (seeds - 1), effect * math.sqrt(seeds / sides)
    critical = t_quantile(df, level)
    if noncentrality > 30:  # the noncentral t is not computed out there, where the power is 1
        return 1.0 if noncentrality > 2 * critical else 0.0
    upper, lower = scipy.special.nctdtr(df, noncentrality, critical), scipy.special.nctdtr(df, noncentrality, -critical)
    return float(1 - upper + lower)
