import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workflow_scripts.statistics.inference.confidence_intervals import (
    ConfidenceInterval,
    SampleMean,
    mean_interval,
    mean_intervals,
    satterthwaite,
)
from workflow_scripts.statistics.inference.hypothesis_tests import paired_tests

rates = st.lists(st.floats(0, 1), min_size=3, max_size=30).filter(lambda values: np.std(values) > 1e-6)


@settings(deadline=None, max_examples=25)
@given(values=rates, level=st.sampled_from([0.8, 0.95, 0.99]))
def test_agrees_with_scipy(values: list[float], level: float) -> None:
    interval = mean_interval(values, level=level)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert interval.ci.low == pytest.approx(expected.low, abs=1e-10)
    assert interval.ci.high == pytest.approx(expected.high, abs=1e-10)
    assert interval.std == pytest.approx(stats.tstd(values), abs=1e-10)


@settings(deadline=None, max_examples=25)
@given(values=rates, shift=st.floats(-5, 5), scale=st.floats(0.01, 100))
def test_moves_and_stretches_with_the_values(values: list[float], shift: float, scale: float) -> None:
    before, after = mean_interval(values), mean_interval(scale * np.array(values) + shift)
    assert after.mean == pytest.approx(scale * before.mean + shift, abs=1e-9)
    assert after.ci.high - after.ci.low == pytest.approx(scale * (before.ci.high - before.ci.low), rel=1e-6)


@pytest.mark.parametrize("values", [[], [0.5], [0.4, 0.6]])
def test_fewer_than_three_values_give_no_interval(values: list[float]) -> None:
    interval = mean_interval(values)
    assert not interval.ci.is_known
    assert math.isnan(interval.ci.high)
    assert interval.n == len(values)


def test_two_values_still_have_a_mean_and_a_deviation() -> None:
    interval = mean_interval([0.4, 0.6])
    assert interval.mean == pytest.approx(0.5)
    assert interval.std == pytest.approx(np.sqrt(0.02))


def test_an_undefined_value_gives_no_interval() -> None:
    assert not mean_interval([0.1, math.nan, 0.3, 0.4]).ci.is_known


def test_an_interval_follows_from_the_standard_error_and_its_degrees_of_freedom() -> None:
    sample = mean_interval([0.4, 0.6, 0.7])
    ci = ConfidenceInterval.from_estimate(sample.mean, std_error=sample.ci.std_error, df=2)
    assert (ci.low, ci.high) == pytest.approx((sample.ci.low, sample.ci.high))
    exact = ConfidenceInterval.from_estimate(0.5, std_error=0.0, df=math.nan)
    assert (exact.low, exact.high, exact.is_known) == (0.5, 0.5, True)
    assert not ConfidenceInterval.from_estimate(0.5, std_error=math.nan, df=2).is_known
    assert not ConfidenceInterval.unknown().is_known


def test_equal_values_give_an_interval_of_no_width() -> None:
    interval = mean_interval([0.5, 0.5, 0.5])
    assert (interval.ci.low, interval.ci.high) == (0.5, 0.5)


def test_covers_the_mean_as_often_as_it_says() -> None:
    samples = np.random.default_rng(0).normal(0.5, 0.1, (2000, 5))
    covered = [(interval := mean_interval(row)).ci.low <= 0.5 <= interval.ci.high for row in samples]
    # 2,000 draws: three binomial standard deviations are 1.5 points
    assert 0.935 <= np.mean(covered) <= 0.965


def numbers_of(estimate: SampleMean) -> list[float]:
    return [estimate.n, estimate.mean, estimate.std, estimate.ci.low, estimate.ci.high, estimate.ci.std_error]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 12))
def test_many_samples_at_once_are_each_as_alone(seed: int, n: int) -> None:
    values = np.random.default_rng(seed).normal(size=(4, n))
    if n:
        values[1, 0], values[2, -1] = np.nan, np.inf
    means = mean_intervals(values)
    assert len(means) == 4
    for number, row in enumerate(values):
        assert np.array_equal(
            numbers_of(means[number]),
            numbers_of(mean_interval(row)),
            equal_nan=True,
        )
    assert [means[number].ci.is_known for number in range(4)] == [n >= 3, False, False, n >= 3]


def test_degrees_of_a_sum_of_variances_lie_between_the_least_and_the_sum() -> None:
    assert satterthwaite([1.0, 1.0], [4, 4]) == pytest.approx(8)
    assert satterthwaite([1.0, 0.0], [4, 9]) == pytest.approx(4)
    assert satterthwaite([0.0, 0.0], [4, 9]) == math.inf
    assert satterthwaite([1e-200, 1e-200], [4, 4]) == pytest.approx(8)


def test_the_intervals_of_all_cells_of_a_large_study_take_no_time() -> None:
    values = np.random.default_rng(0).random((27_000, 10))  # 4,500 cells of ten trials, six metrics
    started = time.monotonic()
    mean_intervals(values)
    paired_tests(values, values[::-1])
    assert time.monotonic() - started < 5  # takes 0.3 s
