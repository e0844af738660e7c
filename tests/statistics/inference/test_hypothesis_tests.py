import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from workflow_scripts.statistics.inference.hypothesis_tests import (
    adjust_by_holm,
    paired_test,
    paired_tests,
    sign_flip_test,
    sign_flip_tests,
    welch_test,
)

pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=20).filter(
    lambda values: np.std([left - right for left, right in values]) > 1e-6
)


@settings(deadline=None, max_examples=25)
@given(values=pairs)
def test_agrees_with_scipy(values: list[tuple[float, float]]) -> None:
    left, right = np.array(values).T
    result, expected = paired_test(left, right), stats.ttest_rel(left, right)
    interval = expected.confidence_interval(0.95)
    assert result.p == pytest.approx(expected.pvalue, abs=1e-10)
    assert result.difference.ci.low == pytest.approx(interval.low, abs=1e-10)
    assert result.difference.ci.high == pytest.approx(interval.high, abs=1e-10)
    assert result.effect * np.sqrt(len(left)) == pytest.approx(expected.statistic, rel=1e-10)


@settings(deadline=None, max_examples=25)
@given(values=pairs)
def test_the_interval_excludes_zero_exactly_when_p_is_below_five_percent(values: list[tuple[float, float]]) -> None:
    result = paired_test(*np.array(values).T)
    excludes = result.difference.ci.low > 0 or result.difference.ci.high < 0
    assert excludes == (result.p < 0.05) or result.p == pytest.approx(0.05, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(values=pairs)
def test_swapping_the_sides_changes_only_the_sign(values: list[tuple[float, float]]) -> None:
    left, right = np.array(values).T
    forth, back = paired_test(left, right), paired_test(right, left)
    assert back.p == pytest.approx(forth.p, abs=1e-12)
    assert back.difference.ci.low == pytest.approx(-forth.difference.ci.high)
    assert back.effect == pytest.approx(-forth.effect)


def test_what_the_pairs_share_does_not_widen_the_interval() -> None:
    shared, own = np.random.default_rng(0).normal(0, 1, (2, 10))
    alone, together = paired_test(own, np.zeros(10)), paired_test(own + 100 * shared, 100 * shared)
    assert together.difference.ci.high == pytest.approx(alone.difference.ci.high)


def test_two_pairs_are_not_tested() -> None:
    result = paired_test([0.5, 0.6], [0.1, 0.2])
    assert math.isnan(result.p)
    assert not result.difference.ci.is_known
    assert math.isnan(result.effect)


def test_no_difference_in_any_pair_is_no_evidence_of_one() -> None:
    assert paired_test([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]).p == 1


def test_the_same_difference_in_every_pair_is_not_tested() -> None:
    result = paired_test([0.2, 0.3, 0.4], [0.1, 0.2, 0.3])
    assert math.isnan(result.p)
    assert result.difference.mean == pytest.approx(0.1)


@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_statsmodels(values: list[float]) -> None:
    assert adjust_by_holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist(), abs=1e-12)


def test_holm_leaves_out_what_was_not_tested() -> None:
    adjusted = adjust_by_holm([0.01, math.nan, 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_holm_of_nothing_is_nothing(values: list[float]) -> None:
    assert all(math.isnan(p) for p in adjust_by_holm(values))


def test_without_any_difference_false_alarms_in_a_study_are_as_rare_as_promised() -> None:
    random = np.random.default_rng(5)
    families = [adjust_by_holm([paired_test(*random.normal(0, 1, (2, 10))).p for _ in range(6)]) for _ in range(400)]
    alarms = np.mean([min(family) < 0.05 for family in families])
    # 400 studies at 5 %: three binomial standard deviations are 3.3 points
    assert 0.017 < alarms < 0.083


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 11))
def test_sign_flips_agree_with_scipy(seed: int, n: int) -> None:
    differences = np.round(np.random.default_rng(seed).normal(3, 10, n))  # whole numbers: sums may be equal, exactly
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_test(differences) == pytest.approx(expected.pvalue, abs=1e-10)


def test_as_many_as_twenty_pairs_are_flipped_exactly() -> None:
    assert sign_flip_test(np.arange(1, 21)) == 2 / 2**20
    assert sign_flip_test([1, 1, 1]) == 0.25


def test_more_pairs_are_flipped_at_random_from_a_seed_and_never_give_zero() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1, 25)
    exact_enough = paired_test(differences, np.zeros(25)).p
    assert sign_flip_test(differences) == sign_flip_test(differences, seed=0) != sign_flip_test(differences, seed=1)
    assert sign_flip_test(differences) == pytest.approx(exact_enough, abs=0.01)
    assert sign_flip_test(np.arange(1, 26)) == pytest.approx(1e-5)


@pytest.mark.parametrize("pairs", [4, 19, 22])
def test_flipping_many_comparisons_at_once_is_as_each_alone(pairs: int) -> None:
    rows = np.random.default_rng(pairs).normal(0.2, 1, (7, pairs))  # 7 of 19 pairs: more than fit at once
    rows[3, 1] = np.nan
    together = sign_flip_tests(rows)
    assert np.array_equal(together, [sign_flip_test(row) for row in rows], equal_nan=True)
    assert np.flatnonzero(np.isnan(together)).tolist() == [3]


@settings(deadline=None, max_examples=25)
@given(values=pairs, scale=st.floats(1e-3, 1e3))
def test_flips_do_not_depend_on_the_unit_nor_on_the_side(values: list[tuple[float, float]], scale: float) -> None:
    left, right = np.array(values).T[:, :12]
    p = sign_flip_test(left - right)
    assert sign_flip_test(scale * (right - left)) == p
    assert 0 < p <= 1


def test_many_comparisons_at_once_are_each_as_alone() -> None:
    treatment, reference = np.random.default_rng(1).normal(size=(2, 5, 6))
    reference[1] = treatment[1]
    reference[2] = treatment[2] - 0.25
    treatment[3, 0] = np.nan
    tests = paired_tests(treatment, reference)
    assert len(tests) == 5
    for number in range(5):
        assert repr(tests[number]) == repr(paired_test(treatment[number], reference[number]))
    assert tests.p[1] == tests.p_sign_flip[1] == 1
    assert np.flatnonzero(np.isnan(tests.p)).tolist() == [2, 3]


samples = st.lists(st.floats(0, 1), min_size=3, max_size=15).filter(lambda values: np.std(values) > 1e-6)


@settings(deadline=None, max_examples=25)
@given(left=samples, right=samples)
def test_welch_agrees_with_scipy(left: list[float], right: list[float]) -> None:
    tests, expected = welch_test(left, right), stats.ttest_ind(left, right, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert tests.p == pytest.approx(expected.pvalue, abs=1e-10)
    assert tests.ci.df == pytest.approx(expected.df, rel=1e-10)
    assert tests.ci.low == pytest.approx(interval.low, abs=1e-10)
    assert tests.ci.high == pytest.approx(interval.high, abs=1e-10)
    assert tests.n == (len(left), len(right))
    assert tests.effect == pytest.approx(tests.mean / math.sqrt((np.var(left, ddof=1) + np.var(right, ddof=1)) / 2))


def test_welch_of_too_few_or_unvarying_values_is_not_tested() -> None:
    few = welch_test([0.1, 0.2], [0.3, 0.4, 0.6])
    assert math.isnan(few.p)
    assert not few.ci.is_known
    assert few.mean == pytest.approx(0.15 - 1.3 / 3)
    assert welch_test([0.5] * 3, [0.5] * 4).p == 1
    assert math.isnan(welch_test([0.5] * 3, [0.4] * 4).p)
    assert math.isnan(welch_test([0.5, 0.6, math.nan], [0.4, 0.5, 0.6]).p)
