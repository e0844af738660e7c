import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import ConfidenceInterval, mean_interval
from workflow_scripts.statistics.inference.equivalence import EQUIVALENCE_LEVEL, Verdict, decide
from workflow_scripts.statistics.inference.hypothesis_tests import welch_test

samples = st.lists(st.floats(0, 1), min_size=3, max_size=15).filter(lambda values: np.std(values) > 1e-6)
margins = st.floats(0.01, 0.5)


def interval(values: list[float] | np.ndarray, published: float) -> tuple[float, float]:
    """Return the ends of the interval, at the level that decides, of the mean less a published number."""
    ci = mean_interval(values, level=EQUIVALENCE_LEVEL).ci
    return ci.low - published, ci.high - published


def judge(values: list[float] | np.ndarray, published: float, *, margin: float) -> Verdict:
    return decide(*interval(values, published), margin=margin)


@settings(deadline=None, max_examples=25)
@given(values=samples, published=st.floats(0, 1), margin=margins)
def test_agrees_with_statsmodels_for_an_exact_number(values: list[float], published: float, margin: float) -> None:
    expected = DescrStatsW(values)
    p = expected.ttost_mean(published - margin, published + margin)[0]
    low, high = expected.tconfint_mean(alpha=0.1)
    assert interval(values, published) == pytest.approx((low - published, high - published), abs=1e-10)
    equivalent = judge(values, published, margin=margin) == "equivalent"
    assert equivalent == (p < 0.05) or p == pytest.approx(0.05, abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(ours=samples, theirs=samples, margin=margins)
def test_agrees_with_statsmodels_for_two_samples(ours: list[float], theirs: list[float], margin: float) -> None:
    both = CompareMeans(DescrStatsW(ours), DescrStatsW(theirs))
    ci = welch_test(ours, theirs, level=EQUIVALENCE_LEVEL).ci
    assert (ci.low, ci.high) == pytest.approx(both.tconfint_diff(alpha=0.1, usevar="unequal"), abs=1e-10)
    p = both.ttost_ind(-margin, margin, usevar="unequal")[0]
    equivalent = decide(ci.low, ci.high, margin=margin) == "equivalent"
    assert equivalent == (p < 0.05) or p == pytest.approx(0.05, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(values=samples, published=st.floats(0, 1), margin=margins)
def test_the_verdict_follows_from_the_interval(values: list[float], published: float, margin: float) -> None:
    verdict, (low, high) = judge(values, published, margin=margin), interval(values, published)
    assert (verdict == "equivalent") == (abs(low) < margin and abs(high) < margin)
    assert (verdict == "different") == (low > margin or high < -margin)


NOISE = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.0, "equivalent"), (0.02, "equivalent"), (0.05, "inconclusive"), (-0.05, "inconclusive"), (0.08, "different"),
     (-0.08, "different")],
)  # fmt: skip
def test_the_three_outcomes(shift: float, verdict: str) -> None:
    assert judge(0.7 + shift + NOISE, 0.7, margin=0.05) == verdict


def test_noise_of_the_other_number_makes_the_verdict_more_careful() -> None:
    exact = judge(0.7 + NOISE, 0.7, margin=0.02)
    noisy = welch_test(0.7 + NOISE, 0.7 + np.array([-0.05, 0.0, 0.05]), level=EQUIVALENCE_LEVEL).ci
    assert (exact, decide(noisy.low, noisy.high, margin=0.02)) == ("equivalent", "inconclusive")


@pytest.mark.parametrize("values", [[], [0.7], [0.7, 0.7], [0.7, 0.7, math.nan]])
def test_too_few_values_are_inconclusive(values: list[float]) -> None:
    assert judge(values, 0.7, margin=0.05) == "inconclusive"
    assert math.isnan(interval(values, 0.7)[0])


@pytest.mark.parametrize(("ours", "verdict"), [(0.72, "equivalent"), (0.8, "different")])
def test_values_without_variance_are_judged_by_their_difference(ours: float, verdict: str) -> None:
    assert judge([ours] * 3, 0.7, margin=0.05) == verdict
    low, high = interval([ours] * 3, 0.7)
    assert (low, high) == pytest.approx((ours - 0.7, ours - 0.7))


def test_a_standard_error_of_several_parts_can_be_given() -> None:
    ci = ConfidenceInterval.from_estimate(0.01, std_error=0.02, df=math.inf, level=EQUIVALENCE_LEVEL)
    assert ci.high - ci.low == pytest.approx(2 * 1.6448536269514722 * 0.02)
    assert decide(ci.low, ci.high, margin=0.05) == "equivalent"


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_a_margin_must_be_above_zero(margin: float) -> None:
    with pytest.raises(UserError, match="margin"):
        judge([0.1, 0.2, 0.3], 0.2, margin=margin)
