"""Statements across data sets.

Data sets are fixed effects: a statement is about these data sets, each counting the same, whatever its size or its
number of trials. Treating them as a sample of all data sets would need many more of them than a study has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    ConfidenceInterval,
    satterthwaite,
)
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE, t_test_p

NO_VARIATION = "the values do not vary: no test"


@dataclass(frozen=True, kw_only=True)
class DatasetEstimate:
    """A mean or a mean difference on one data set, with its standard error and degrees of freedom."""

    mean: float
    std_error: float
    df: float


@dataclass(frozen=True, kw_only=True)
class MultiDatasetMean:
    """Equal-weight mean over data sets with its t interval and p; `reason` states why there is no interval or test."""

    datasets: int
    mean: float
    ci: ConfidenceInterval
    p: float
    reason: str


def mean_over_datasets(
    estimates: Mapping[str, DatasetEstimate], *, level: float = CONFIDENCE_LEVEL
) -> MultiDatasetMean:
    """Average one estimate per data set, by the name of the data set, with equal weights.

    The estimates are taken for independent: different data sets, and one pre-training seed or none. Standard error:
    root of the sum of the squared errors over the number of data sets; Welch-Satterthwaite degrees of freedom.
    Estimates that share their pre-training seeds are not independent: average each seed over the data sets first.
    """
    if not estimates:
        return _without_interval(0, math.nan, "no data set")
    datasets = len(estimates)
    means, std_errors, df = (
        np.array([getattr(estimate, name) for estimate in estimates.values()], np.float64)
        for name in ("mean", "std_error", "df")
    )
    mean = float(means.mean())
    unknown = [name for name, estimate in estimates.items() if not math.isfinite(estimate.std_error)]
    if unknown:
        return _without_interval(datasets, mean, f"no interval on {', '.join(unknown)}")
    # variance of the mean: sum of (error / number of data sets) squared
    variances = (std_errors / datasets) ** 2
    std_error, combined_df = math.sqrt(float(variances.sum())), satterthwaite(variances, df)
    return MultiDatasetMean(
        datasets=datasets,
        mean=mean,
        ci=ConfidenceInterval.from_estimate(mean, std_error=std_error, df=combined_df, level=level),
        p=t_test_p(mean, std_error=std_error, df=combined_df),
        reason="" if std_error > ZERO_VARIANCE else NO_VARIATION,
    )


def interquartile_mean(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean of the middle half of all values (data sets and trials together), swayed by no single value.

    A description, not a test: the least and greatest quarter, rounded down, are left out (Agarwal et al. 2021). NaN
    without values.
    """
    from scipy.stats import trim_mean  # noqa: PLC0415  (planning needs no scipy.stats, which takes a second)

    array = np.ravel(np.asarray(values, np.float64))
    return float(trim_mean(array, 0.25)) if len(array) else math.nan


def performance_profile(values: np.ndarray, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the share of values (data sets, trials) above each threshold, every data set counting the same.

    (thresholds,). A description (Agarwal et al. 2021): a method whose profile lies above another's everywhere is better
    in every part of its distribution.
    """
    table = np.asarray(values, np.float64)
    above: np.ndarray = table[None] > np.asarray(thresholds, np.float64)[:, None, None]
    return above.mean(axis=2).mean(axis=1)


def _without_interval(datasets: int, mean: float, reason: str) -> MultiDatasetMean:
    return MultiDatasetMean(datasets=datasets, mean=mean, ci=ConfidenceInterval.unknown(), p=math.nan, reason=reason)
