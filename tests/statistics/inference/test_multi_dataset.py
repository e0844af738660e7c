import math

import numpy as np
import pytest
from scipy import stats

from workflow_scripts.statistics.inference.confidence_intervals import mean_interval
from workflow_scripts.statistics.inference.multi_dataset import (
    DatasetEstimate,
    interquartile_mean,
    mean_over_datasets,
    performance_profile,
)


def estimate(values: list[float] | np.ndarray) -> DatasetEstimate:
    sample = mean_interval(values)
    return DatasetEstimate(mean=sample.mean, std_error=sample.ci.std_error, df=sample.ci.df)


def test_the_mean_of_two_sets_is_tested_as_welch_tests_a_sum() -> None:
    left, right = np.random.default_rng(0).normal(0.1, 0.3, 5), np.random.default_rng(1).normal(0.2, 1, 9)
    average = mean_over_datasets({"openmic": estimate(left), "ballroom": estimate(right)})
    expected = stats.ttest_ind(left, -right, equal_var=False)  # half the difference to minus the other is the mean
    interval = expected.confidence_interval(0.95)
    assert average.mean == pytest.approx((left.mean() + right.mean()) / 2)
    assert average.p == pytest.approx(expected.pvalue, abs=1e-10)
    assert average.ci.df == pytest.approx(expected.df, rel=1e-10)
    assert (average.ci.low, average.ci.high) == pytest.approx((interval.low / 2, interval.high / 2), abs=1e-10)
    assert average.datasets == 2


def test_every_set_counts_the_same_however_many_trials_it_has() -> None:
    average = mean_over_datasets({"few": estimate([0, 0.1, 0.2]), "many": estimate(np.tile([0.4, 0.6], 50))})
    assert average.mean == pytest.approx(0.3)


def test_a_set_without_an_interval_leaves_none_across() -> None:
    average = mean_over_datasets({"openmic": estimate([0.1, 0.2, 0.3]), "ballroom": estimate([0.1, 0.2])})
    assert not average.ci.is_known
    assert average.reason == "no interval on ballroom"
    assert average.mean == pytest.approx(0.175)
    assert mean_over_datasets({}).reason == "no data set"


def test_values_that_do_not_vary_are_not_tested() -> None:
    assert math.isnan(mean_over_datasets({"openmic": estimate([0.25] * 3)}).p)
    assert mean_over_datasets({"openmic": estimate([0.0] * 3)}).p == 1


def test_the_interquartile_mean_leaves_out_the_extremes() -> None:
    assert interquartile_mean([[0, 1, 2, 3], [4, 5, 6, 1000]]) == pytest.approx(3.5)
    assert math.isnan(interquartile_mean([]))


def test_a_performance_profile_counts_every_set_the_same() -> None:
    profile = performance_profile(np.array([[0.2, 0.4], [0.6, 0.8]]), [0.0, 0.3, 0.5, 0.7, 0.8])
    assert profile.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
