import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.ranking import DatasetValues, rank_methods

CLEAR = np.array([[0.5], [0.7], [0.69], [0.9]])


def noisy(seed: int, trials: int = 10) -> DatasetValues:
    rng = np.random.default_rng(seed)
    return DatasetValues(trials=CLEAR + 0.02 * rng.normal(size=(4, trials)) + 0.1 * rng.normal(size=(1, trials)))


def test_clear_differences_give_places_and_unclear_ones_ties() -> None:
    ranks = rank_methods(list("abcd"), [noisy(0), noisy(1), noisy(2)])
    assert [set(group) for group in ranks.tie_groups] == [{"d"}, {"b", "c"}, {"a"}]
    assert ranks.low.tolist() == [4, 2, 2, 1]
    assert ranks.high.tolist() == [4, 3, 3, 1]
    assert ranks.mean == pytest.approx(np.mean([noisy(seed).trials.mean(axis=1) for seed in range(3)], axis=0))
    assert np.array_equal(ranks.distinguishable, ranks.distinguishable.T)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), methods=st.integers(1, 6), sets=st.integers(1, 3), trials=st.integers(3, 8))
def test_places_hold_together(seed: int, methods: int, sets: int, trials: int) -> None:
    rng = np.random.default_rng(seed)
    level = 2 * rng.normal(size=(methods, 1))
    given_sets = [DatasetValues(trials=level + rng.normal(size=(methods, trials))) for _ in range(sets)]
    ranks = rank_methods([str(number) for number in range(methods)], given_sets, resamples=200, seed=seed)
    assert np.all((ranks.low <= ranks.rank) & (ranks.rank <= ranks.high))
    assert np.all((ranks.low >= 1) & (ranks.high <= methods))
    assert {name for group in ranks.tie_groups for name in group} == set(ranks.methods)
    assert not any(
        ranks.distinguishable[int(one), int(other)] for group in ranks.tie_groups for one in group for other in group
    )
    assert not any(set(one) < set(other) for one in ranks.tie_groups for other in ranks.tie_groups)


def test_the_same_seed_gives_the_same_ranks() -> None:
    first, again = (rank_methods(list("abcd"), [noisy(0, 4)], seed=1) for _ in range(2))
    assert first.low.tobytes() == again.low.tobytes()
    assert first.tie_groups == again.tie_groups


def test_what_methods_share_in_a_trial_does_not_hide_their_difference() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(1, 10)), 0.01 * rng.normal(size=(2, 10))
    paired = DatasetValues(trials=np.array([[0.0], [0.1]]) + own + shared)
    broken = DatasetValues(trials=np.stack([paired.trials[0], np.roll(paired.trials[1], 1)]))
    assert rank_methods(["a", "b"], [paired]).tie_groups == (("b",), ("a",))
    assert len(rank_methods(["a", "b"], [broken]).tie_groups) == 1


def test_doubt_about_the_test_clips_makes_ties() -> None:
    rng = np.random.default_rng(0)
    values = noisy(0)
    clips = rng.normal(0, 0.2, size=(4, 500))
    shared = np.repeat(clips[:1], 4, axis=0)
    assert len(rank_methods(list("abcd"), [values]).tie_groups) == 3
    assert len(rank_methods(list("abcd"), [DatasetValues(trials=values.trials, test_sets=clips)]).tie_groups) < 3
    assert len(rank_methods(list("abcd"), [DatasetValues(trials=values.trials, test_sets=shared)]).tie_groups) == 3


def test_methods_with_the_same_values_are_tied_and_share_a_place() -> None:
    trials = np.array([[0.5, 0.6, 0.7]] * 2 + [[0.1, 0.2, 0.3]])
    ranks = rank_methods(list("abc"), [DatasetValues(trials=trials)])
    assert ranks.rank.tolist() == [1, 1, 3]
    assert ranks.tie_groups == (("a", "b"), ("c",))  # c is lower by the same amount in every trial


def test_a_method_between_two_groups_is_in_both() -> None:
    noise = linalg.helmert(10)[6:] * 3  # three rows of mean 0 and deviation 1 that have nothing in common
    ranks = rank_methods(list("abc"), [DatasetValues(trials=np.array([[0.0], [1.0], [2.0]]) + noise)])
    assert ranks.tie_groups == (("c", "b"), ("b", "a"))
    assert ranks.low.tolist() == [2, 1, 1]
    assert ranks.high.tolist() == [3, 3, 2]


@pytest.mark.parametrize(
    "sets",
    [
        [],
        [DatasetValues(trials=np.ones((3, 5)))],
        [DatasetValues(trials=np.ones((2, 2)))],
        [DatasetValues(trials=np.full((2, 5), math.nan))],
        [DatasetValues(trials=np.ones((2, 5)), test_sets=np.full((2, 9), math.nan))],
        [DatasetValues(trials=np.ones((2, 5)), test_sets=np.ones((3, 9)))],
    ],
)
def test_what_cannot_be_ranked_is_refused(sets: list[DatasetValues]) -> None:
    with pytest.raises(UserError, match="ranking"):
        rank_methods(["a", "b"], sets)
