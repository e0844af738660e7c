"""Paired differences and the correction for asking several questions at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from workflow_scripts.statistics.intervals import LEVEL, Interval, mean_interval

NO_SPREAD = 1e-12  # metrics are of order 1, so a smaller deviation is rounding


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Mean difference with its interval, Cohen's d_z (mean over deviation of the differences) and the t test's p."""

    difference: Interval
    effect: float
    p: float

    @property
    def tested(self) -> bool:
        """Whether there is a p value."""
        return math.isfinite(self.p)


def paired(better: Sequence[float] | np.ndarray, than: Sequence[float] | np.ndarray, *, level: float = LEVEL) -> Paired:
    """Compare two equally long samples pair by pair: `better` minus `than`.

    Too few pairs for an interval give no effect and no p. Differences that are all zero give p = 1; differences
    that are all the same and not zero leave nothing to test against, so they give no p.
    """
    differences = np.asarray(better, np.float64) - np.asarray(than, np.float64)
    interval = mean_interval(differences, level=level)
    if not interval.known:
        return Paired(difference=interval, effect=math.nan, p=math.nan)
    if interval.sd <= NO_SPREAD:
        return Paired(difference=interval, effect=math.nan, p=1.0 if abs(interval.mean) <= NO_SPREAD else math.nan)
    return Paired(
        difference=interval,
        effect=interval.mean / interval.sd,
        p=float(stats.ttest_1samp(differences, 0.0).pvalue),
    )


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
