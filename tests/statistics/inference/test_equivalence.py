import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.equivalence import against_published, tost

samples = st.lists(st.floats(0, 1), min_size=3, max_size=15).filter(lambda values: np.std(values) > 1e-6)
margins = st.floats(0.01, 0.5)


@settings(deadline=None, max_examples=25)
@given(values=samples, published=st.floats(0, 1), margin=margins)
def test_agrees_with_statsmodels_for_an_exact_number(values: list[float], published: float, margin: float) -> None:
    made = against_published(values, published, margin=margin)
    expected = DescrStatsW(values)
    assert made.p == pytest.approx(expected.ttost_mean(published - margin, published + margin)[0], abs=1e-10)
    low, high = expected.tconfint_mean(alpha=0.1)
    assert (made.low, made.high) == pytest.approx((low - published, high - published), abs=1e-10)


@settings(deadline=None, max_examples=25)
@given(ours=samples, theirs=samples, margin=margins)
def test_agrees_with_statsmodels_for_a_number_with_a_deviation(
    ours: list[float], theirs: list[float], margin: float
) -> None:
    made = against_published(
        ours, np.mean(theirs), margin=margin, published_sd=np.std(theirs, ddof=1), published_n=len(theirs)
    )
    both = CompareMeans(DescrStatsW(ours), DescrStatsW(theirs))
    assert made.p == pytest.approx(both.ttost_ind(-margin, margin, usevar="unequal")[0], abs=1e-10)
    assert (made.low, made.high) == pytest.approx(both.tconfint_diff(alpha=0.1, usevar="unequal"), abs=1e-10)


@settings(deadline=None, max_examples=50)
@given(values=samples, published=st.floats(0, 1), margin=margins)
def test_the_verdict_follows_from_the_interval(values: list[float], published: float, margin: float) -> None:
    made = against_published(values, published, margin=margin)
    assert (made.verdict == "equivalent") == (abs(made.low) < margin and abs(made.high) < margin)
    assert (made.verdict == "different") == (made.low > margin or made.high < -margin)
    assert (made.verdict == "equivalent") == (made.p < 0.05) or made.p == pytest.approx(0.05, abs=1e-6)


NOISE = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.0, "equivalent"), (0.02, "equivalent"), (0.05, "inconclusive"), (-0.05, "inconclusive"), (0.08, "different"),
     (-0.08, "different")],
)  # fmt: skip
def test_the_three_outcomes(shift: float, verdict: str) -> None:
    assert against_published(0.7 + shift + NOISE, 0.7, margin=0.05).verdict == verdict


def test_noise_of_the_published_number_makes_the_verdict_more_careful() -> None:
    exact = against_published(0.7 + NOISE, 0.7, margin=0.02)
    noisy = against_published(0.7 + NOISE, 0.7, margin=0.02, published_sd=0.05, published_n=3)
    assert (exact.verdict, noisy.verdict) == ("equivalent", "inconclusive")


@pytest.mark.parametrize("values", [[], [0.7], [0.7, 0.7], [0.7, 0.7, math.nan]])
def test_too_few_values_are_inconclusive(values: list[float]) -> None:
    made = against_published(values, 0.7, margin=0.05)
    assert made.verdict == "inconclusive"
    assert math.isnan(made.low)
    assert math.isnan(made.p)


@pytest.mark.parametrize(("ours", "verdict", "p"), [(0.72, "equivalent", 0), (0.8, "different", 1)])
def test_values_without_spread_are_judged_by_their_difference(ours: float, verdict: str, p: float) -> None:
    made = against_published([ours] * 3, 0.7, margin=0.05)
    assert (made.verdict, made.p) == (verdict, p)
    assert made.low == made.high == pytest.approx(ours - 0.7)


def test_an_error_of_several_parts_can_be_given() -> None:
    made = tost(0.01, standard_error=0.02, df=math.inf, margin=0.05)
    assert made.high - made.low == pytest.approx(2 * 1.6448536269514722 * 0.02)
    assert made.verdict == "equivalent"


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_a_margin_must_be_above_zero(margin: float) -> None:
    with pytest.raises(UserError, match="margin"):
        against_published([0.1, 0.2, 0.3], 0.2, margin=margin)


@pytest.mark.parametrize("known", [{"published_sd": 0.1}, {"published_n": 3}, {"published_sd": 0.1, "published_n": 1},
                                   {"published_sd": math.nan, "published_n": 3}])  # fmt: skip
def test_half_known_noise_of_the_published_number_is_refused(known: dict) -> None:
    with pytest.raises(UserError, match="deviation"):
        against_published([0.1, 0.2, 0.3], 0.2, margin=0.1, **known)
