import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workflow_scripts.statistics.inference.confidence_intervals import t_quantile
from workflow_scripts.statistics.inference.hypothesis_tests import paired_test
from workflow_scripts.statistics.inference.relative_improvement import relative_improvement

SAMPLES = st.lists(st.tuples(st.floats(0.2, 0.9), st.floats(0.2, 0.9)), min_size=3, max_size=12)


def test_it_is_the_ratio_of_the_means() -> None:
    improvement = relative_improvement([0.6, 0.5, 0.7], [0.5, 0.5, 0.5])
    assert improvement.percent == pytest.approx(20)
    assert improvement.n == 3
    # a constant baseline has no noise, so the interval is that of the mean, divided by it
    half_width = t_quantile(2, 0.95) * 0.1 / math.sqrt(3)
    assert improvement.ci.low == pytest.approx(100 * ((0.6 - half_width) / 0.5 - 1))
    assert improvement.ci.high == pytest.approx(100 * ((0.6 + half_width) / 0.5 - 1))


@settings(deadline=None, max_examples=50)
@given(SAMPLES)
def test_both_ends_are_ratios_that_a_paired_test_just_does_not_refuse(pairs: list[tuple[float, float]]) -> None:
    of, over = np.array(pairs).T
    improvement = relative_improvement(of, over)
    assume(improvement.ci.is_known)
    for bound in {improvement.ci.low, improvement.ci.high} - {-100.0}:  # a ratio below zero is not possible
        difference = paired_test(of, (1 + bound / 100) * over).difference
        assert min(abs(difference.ci.low), abs(difference.ci.high)) == pytest.approx(0, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(SAMPLES)
def test_it_excludes_zero_just_when_the_difference_does(pairs: list[tuple[float, float]]) -> None:
    of, over = np.array(pairs).T
    improvement, difference = relative_improvement(of, over), paired_test(of, over).difference
    assume(improvement.ci.is_known and min(abs(difference.ci.low), abs(difference.ci.high)) > 1e-9)
    assert (improvement.ci.low <= 0 <= improvement.ci.high) == (difference.ci.low <= 0 <= difference.ci.high)


def test_the_interval_covers_the_true_ratio() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(0, 0.02, (2000, 5))
    over, of = (mean + shared + random.normal(0, 0.02, shared.shape) for mean in (0.4, 0.5))
    improvement = [relative_improvement(*sides) for sides in zip(of, over, strict=True)]
    assert 0.935 < np.mean([one.ci.low <= 25 <= one.ci.high for one in improvement]) < 0.965


@pytest.mark.parametrize(
    ("of", "over"),
    [([], []), ([0.1, 0.2, 0.3], [0.0, 0.0, 0.0]), ([0.1, 0.2, 0.3], [-0.1, 0.0, -0.2]), ([math.nan] * 3, [0.1] * 3)],
)
def test_without_a_baseline_above_zero_there_is_no_improvement(of: list[float], over: list[float]) -> None:
    improvement = relative_improvement(of, over)
    assert math.isnan(improvement.percent)
    assert not improvement.ci.is_known


def test_two_pairs_or_a_baseline_that_may_be_zero_give_no_interval() -> None:
    assert not relative_improvement([0.2, 0.3], [0.1, 0.2]).ci.is_known
    unsure = relative_improvement([0.5, 0.6, 0.7], [0.9, 0.01, 0.01])
    assert unsure.percent == pytest.approx(100 * (0.6 / (0.92 / 3) - 1))
    assert not unsure.ci.is_known
