"""Where one method begins to beat another as the training set grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workflow_scripts.statistics.inference.confidence_intervals import CONFIDENCE_LEVEL, MIN_REPLICATES, t_quantile

RESAMPLES = 2000  # the standard error of a bound's place among the resamples is 0.35 %
Outcome = Literal["crossing", "always better", "never better", "undetermined"]


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """The size from which on a method is better, in training samples, and its interval over `n` paired trials.

    0 says below the smallest size measured (better everywhere), infinity beyond the largest (not better there);
    not-a-number stands where there is no interval. `crosses`, `always` and `never` are shares of the resamples.
    """

    outcome: Outcome
    n: int
    size: float
    low: float
    high: float
    crosses: float
    always: float
    never: float


def crossing(
    sizes: Sequence[float] | np.ndarray,
    differences: np.ndarray,
    *,
    level: float = CONFIDENCE_LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Crossing:
    """Return where `differences` (sizes, trials), the method minus the other one, become positive for good.

    `sizes` ascend. The mean difference over trials is taken to run straight over the logarithm of the size between two
    measured sizes; the crossing is the last place where it passes zero from below, so that the method is better at
    every larger size measured. A method that is better at small sizes and not at the largest has no crossing ("never
    better"). The interval is the percentile bootstrap over trials (Efron 1979), each drawn with all its sizes,
    for trial k has the same seed and nested training sets everywhere; same `seed`, same interval. Resampled means of
    few trials lie too close together, so their deviations are widened to those of a t interval (the expanded percentile
    interval of Hesterberg 2015). With normal noise it covers 95 % at 3, 5 and 10 trials; the plain one does not, and
    would claim something of nothing in a quarter of the cases with three trials.

    The outcome is "crossing" when both ends of the interval are measured sizes, "always better" or "never better" when
    the interval has nothing else, and otherwise "undetermined": then `crosses` says in what share of the resamples
    there is a crossing. Fewer than three trials leave it undetermined without an interval. Raises `ValueError` for
    sizes that do not ascend or differences of another shape.
    """
    places, values = np.log(np.asarray(sizes, np.float64)), np.asarray(differences, np.float64)
    if values.ndim != 2 or len(values) != len(places) or not (np.diff(places) > 0).all():
        raise ValueError("crossing needs ascending sizes and one row of differences for each")
    n = values.shape[1]
    place = float(_beginnings(places, values.mean(axis=1, keepdims=True))[0])
    if n < MIN_REPLICATES:
        nothing = dict.fromkeys(("low", "high", "crosses", "always", "never"), math.nan)
        return Crossing(outcome="undetermined", n=n, size=math.exp(place), **nothing)
    drawn = np.random.default_rng(seed).integers(n, size=(resamples, n))
    centre = values.mean(axis=1, keepdims=True)
    resampled = _beginnings(places, centre + _expansion(n, level) * (values[:, drawn].mean(axis=2) - centre))
    low = float(np.quantile(resampled, (1 - level) / 2, method="lower"))
    high = float(np.quantile(resampled, (1 + level) / 2, method="higher"))
    return Crossing(
        outcome=_outcome(place, low, high),
        n=n,
        size=math.exp(place),
        low=math.exp(low),
        high=math.exp(high),
        crosses=float(np.isfinite(resampled).mean()),
        always=float((resampled == -math.inf).mean()),
        never=float((resampled == math.inf).mean()),
    )


def _expansion(n: int, level: float) -> float:
    """How much wider a t interval of `n` values is than the normal one of their uncorrected deviation."""
    return t_quantile(n - 1, level) / t_quantile(math.inf, level) * math.sqrt(n / (n - 1))


def _beginnings(places: np.ndarray, means: np.ndarray) -> np.ndarray:
    """For each column of `means` (sizes, columns) the place after which all are positive; infinite if there is none."""
    better = means > 0
    in_a_row = np.cumprod(better[::-1], axis=0).sum(axis=0)  # sizes, from the largest down
    first = len(places) - in_a_row
    after = np.clip(first, 1, len(places) - 1) if len(places) > 1 else np.zeros_like(first)
    columns = np.arange(means.shape[1])
    below, above = means[after - 1, columns], means[after, columns]
    with np.errstate(invalid="ignore", divide="ignore"):  # columns without a crossing are overwritten
        between = places[after - 1] + (places[after] - places[after - 1]) * -below / (above - below)
    return np.where(first == 0, -math.inf, np.where(first == len(places), math.inf, between))


def _outcome(place: float, low: float, high: float) -> Outcome:
    if math.isfinite(low) and math.isfinite(high):
        return "crossing"
    if place == low == high:
        return "always better" if place < 0 else "never better"
    return "undetermined"
