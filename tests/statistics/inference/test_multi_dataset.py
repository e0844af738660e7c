import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.multi_dataset import (
    SetValues,
    estimate,
    interquartile_mean,
    mean_over_sets,
    performance_profile,
    rank,
)


def test_the_mean_of_two_sets_is_tested_as_welch_tests_a_sum() -> None:
    left, right = np.random.default_rng(0).normal(0.1, 0.3, 5), np.random.default_rng(1).normal(0.2, 1, 9)
    made = mean_over_sets({"openmic": estimate(left), "ballroom": estimate(right)})
    expected = stats.ttest_ind(left, -right, equal_var=False)  # half the difference to minus the other is the mean
    interval = expected.confidence_interval(0.95)
    assert made.mean == pytest.approx((left.mean() + right.mean()) / 2)
    assert made.p == pytest.approx(expected.pvalue, abs=1e-10)
    assert made.df == pytest.approx(expected.df, rel=1e-10)
    assert (made.low, made.high) == pytest.approx((interval.low / 2, interval.high / 2), abs=1e-10)
    assert made.sets == 2


def test_every_set_counts_the_same_however_many_trials_it_has() -> None:
    made = mean_over_sets({"few": estimate([0, 0.1, 0.2]), "many": estimate(np.tile([0.4, 0.6], 50))})
    assert made.mean == pytest.approx(0.3)


def test_a_set_without_an_interval_leaves_none_across() -> None:
    made = mean_over_sets({"openmic": estimate([0.1, 0.2, 0.3]), "ballroom": estimate([0.1, 0.2])})
    assert not made.known
    assert made.reason == "no interval on ballroom"
    assert made.mean == pytest.approx(0.175)
    assert mean_over_sets({}).reason == "no data set"


def test_values_that_do_not_vary_are_not_tested() -> None:
    assert math.isnan(mean_over_sets({"openmic": estimate([0.25] * 3)}).p)
    assert mean_over_sets({"openmic": estimate([0.0] * 3)}).p == 1


CLEAR = np.array([[0.5], [0.7], [0.69], [0.9]])


def noisy(seed: int, trials: int = 10) -> SetValues:
    random = np.random.default_rng(seed)
    return SetValues(trials=CLEAR + 0.02 * random.normal(size=(4, trials)) + 0.1 * random.normal(size=(1, trials)))


def test_clear_differences_give_places_and_unclear_ones_ties() -> None:
    made = rank(list("abcd"), [noisy(0), noisy(1), noisy(2)])
    assert [set(group) for group in made.groups] == [{"d"}, {"b", "c"}, {"a"}]
    assert made.low.tolist() == [4, 2, 2, 1]
    assert made.high.tolist() == [4, 3, 3, 1]
    assert made.mean == pytest.approx(np.mean([noisy(seed).trials.mean(axis=1) for seed in range(3)], axis=0))
    assert np.array_equal(made.apart, made.apart.T)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), methods=st.integers(1, 6), sets=st.integers(1, 3), trials=st.integers(3, 8))
def test_places_hold_together(seed: int, methods: int, sets: int, trials: int) -> None:
    random = np.random.default_rng(seed)
    level = 2 * random.normal(size=(methods, 1))
    given_sets = [SetValues(trials=level + random.normal(size=(methods, trials))) for _ in range(sets)]
    made = rank([str(number) for number in range(methods)], given_sets, resamples=200, seed=seed)
    assert np.all((made.low <= made.rank) & (made.rank <= made.high))
    assert np.all((made.low >= 1) & (made.high <= methods))
    assert {name for group in made.groups for name in group} == set(made.methods)
    assert not any(made.apart[int(one), int(other)] for group in made.groups for one in group for other in group)
    assert not any(set(one) < set(other) for one in made.groups for other in made.groups)


def test_the_same_seed_gives_the_same_ranks() -> None:
    first, again = (rank(list("abcd"), [noisy(0, 4)], seed=1) for _ in range(2))
    assert first.low.tobytes() == again.low.tobytes()
    assert first.groups == again.groups


def test_what_methods_share_in_a_trial_does_not_hide_their_difference() -> None:
    random = np.random.default_rng(0)
    shared, own = random.normal(size=(1, 10)), 0.01 * random.normal(size=(2, 10))
    paired = SetValues(trials=np.array([[0.0], [0.1]]) + own + shared)
    broken = SetValues(trials=np.stack([paired.trials[0], np.roll(paired.trials[1], 1)]))
    assert rank(["a", "b"], [paired]).groups == (("b",), ("a",))
    assert len(rank(["a", "b"], [broken]).groups) == 1


def test_doubt_about_the_test_clips_makes_ties() -> None:
    random = np.random.default_rng(0)
    values = noisy(0)
    clips = random.normal(0, 0.2, size=(4, 500))
    shared = np.repeat(clips[:1], 4, axis=0)
    assert len(rank(list("abcd"), [values]).groups) == 3
    assert len(rank(list("abcd"), [SetValues(trials=values.trials, clips=clips)]).groups) < 3
    assert len(rank(list("abcd"), [SetValues(trials=values.trials, clips=shared)]).groups) == 3


def test_methods_with_the_same_values_are_tied_and_share_a_place() -> None:
    trials = np.array([[0.5, 0.6, 0.7]] * 2 + [[0.1, 0.2, 0.3]])
    made = rank(list("abc"), [SetValues(trials=trials)])
    assert made.rank.tolist() == [1, 1, 3]
    assert made.groups == (("a", "b"), ("c",))  # c is lower by the same amount in every trial


def test_a_method_between_two_groups_is_in_both() -> None:
    noise = linalg.helmert(10)[6:] * 3  # three rows of mean 0 and deviation 1 that have nothing in common
    made = rank(list("abc"), [SetValues(trials=np.array([[0.0], [1.0], [2.0]]) + noise)])
    assert made.groups == (("c", "b"), ("b", "a"))
    assert made.low.tolist() == [2, 1, 1]
    assert made.high.tolist() == [3, 3, 2]


@pytest.mark.parametrize(
    "sets",
    [
        [],
        [SetValues(trials=np.ones((3, 5)))],
        [SetValues(trials=np.ones((2, 2)))],
        [SetValues(trials=np.full((2, 5), math.nan))],
        [SetValues(trials=np.ones((2, 5)), clips=np.full((2, 9), math.nan))],
        [SetValues(trials=np.ones((2, 5)), clips=np.ones((3, 9)))],
    ],
)
def test_what_cannot_be_ranked_is_refused(sets: list[SetValues]) -> None:
    with pytest.raises(UserError, match="ranking"):
        rank(["a", "b"], sets)


def test_the_interquartile_mean_leaves_out_the_extremes() -> None:
    assert interquartile_mean([[0, 1, 2, 3], [4, 5, 6, 1000]]) == pytest.approx(3.5)
    assert math.isnan(interquartile_mean([]))


def test_a_performance_profile_counts_every_set_the_same() -> None:
    profile = performance_profile(np.array([[0.2, 0.4], [0.6, 0.8]]), [0.0, 0.3, 0.5, 0.7, 0.8])
    assert profile.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
