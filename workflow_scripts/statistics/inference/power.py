"""How many pre-training seeds would show a difference between two methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import CONFIDENCE_LEVEL, MIN_REPLICATES, t_quantile

MOST_SEEDS = 10_000  # a study that needs more will not be made


@dataclass(frozen=True, kw_only=True)
class SeedsNeeded:
    """Pre-training seeds a side for a wanted power, and the range left by not knowing the deviation well.

    None stands for more than `MOST_SEEDS`.
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
    """How many pre-training seeds show a true `difference` with probability `power` by a two-sided t test.

    `deviation` is that of a checkpoint's mean (`Checkpoints.deviation`), in the unit of `difference`. `sides` = 2: that
    many seeds for each of two methods; 1: for one method, against something without seeds or in pairs. With the
    `degrees` of freedom of the deviation (checkpoints - 1) comes the range of the answer over its 95 % interval, which
    after three seeds is wide. Never fewer than three, since fewer give no test here. `UserError` unless the difference
    is not zero and 0 < power < 1.
    """
    if not (difference and math.isfinite(difference) and std >= 0 and 0 < power < 1):
        raise UserError("seeds needed: give a difference other than zero, a deviation and a power between 0 and 1")
    sizes = [abs(difference) / each if each else math.inf for each in _range_of(std, df)]
    seeds, low, high = (_fewest_seeds(size, power=power, level=level, sides=sides) for size in sizes)
    return SeedsNeeded(seeds=seeds, low=low, high=high)


def _range_of(std: float, df: float | None) -> tuple[float, float, float]:
    """Return the deviation and the ends of its 95 % interval."""
    if df is None:
        return std, std, std
    low, high = (math.sqrt(df / float(special.chdtri(df, tail))) for tail in (0.025, 0.975))
    return std, std * low, std * high


def _fewest_seeds(size: float, *, power: float, level: float, sides: Literal[1, 2]) -> int | None:
    """Fewest seeds that reach the power for a difference of `size` deviations, and that the tables would test."""
    if math.isinf(size):
        return MIN_REPLICATES
    low, high = MIN_REPLICATES - 1, MIN_REPLICATES
    while _power(high, size, level=level, sides=sides) < power:
        low, high = high, high * 2
        if low >= MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        reached = _power(middle, size, level=level, sides=sides) >= power
        low, high = (low, middle) if reached else (middle, high)
    return high if high <= MOST_SEEDS else None


def _power(seeds: int, size: float, *, level: float, sides: Literal[1, 2]) -> float:
    df, shift = sides * (seeds - 1), size * math.sqrt(seeds / sides)
    critical = t_quantile(df, level)
    if shift > 30:  # the noncentral t is not computed out there, where the power is 1
        return 1.0 if shift > 2 * critical else 0.0
    return float(1 - special.nctdtr(df, shift, critical) + special.nctdtr(df, shift, -critical))
