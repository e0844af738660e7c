import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workflow_scripts.statistics.intervals import mean_interval

rates = st.lists(st.floats(0, 1), min_size=3, max_size=30).filter(lambda values: np.std(values) > 1e-6)


@settings(deadline=None, max_examples=25)
@given(values=rates, level=st.sampled_from([0.8, 0.95, 0.99]))
def test_agrees_with_scipy(values: list[float], level: float) -> None:
    interval = mean_interval(values, level=level)
    expected = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert interval.low == pytest.approx(expected.low, abs=1e-10)
    assert interval.high == pytest.approx(expected.high, abs=1e-10)
    assert interval.sd == pytest.approx(stats.tstd(values), abs=1e-10)


@settings(deadline=None, max_examples=25)
@given(values=rates, shift=st.floats(-5, 5), scale=st.floats(0.01, 100))
def test_moves_and_stretches_with_the_values(values: list[float], shift: float, scale: float) -> None:
    before, after = mean_interval(values), mean_interval(scale * np.array(values) + shift)
    assert after.mean == pytest.approx(scale * before.mean + shift, abs=1e-9)
    assert after.high - after.low == pytest.approx(scale * (before.high - before.low), rel=1e-6)


@pytest.mark.parametrize("values", [[], [0.5], [0.4, 0.6]])
def test_fewer_than_three_values_give_no_interval(values: list[float]) -> None:
    interval = mean_interval(values)
    assert not interval.known
    assert math.isnan(interval.high)
    assert interval.n == len(values)


def test_two_values_still_have_a_mean_and_a_deviation() -> None:
    interval = mean_interval([0.4, 0.6])
    assert interval.mean == pytest.approx(0.5)
    assert interval.sd == pytest.approx(np.sqrt(0.02))


def test_an_undefined_value_gives_no_interval() -> None:
    assert not mean_interval([0.1, math.nan, 0.3, 0.4]).known


def test_equal_values_give_an_interval_of_no_width() -> None:
    interval = mean_interval([0.5, 0.5, 0.5])
    assert (interval.low, interval.high) == (0.5, 0.5)


def test_covers_the_mean_as_often_as_it_says() -> None:
    samples = np.random.default_rng(0).normal(0.5, 0.1, (2000, 5))
    covered = [(interval := mean_interval(row)).low <= 0.5 <= interval.high for row in samples]
    # 2,000 draws: three binomial standard deviations are 1.5 points
    assert 0.935 <= np.mean(covered) <= 0.965
