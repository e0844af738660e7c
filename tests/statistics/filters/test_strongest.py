import numpy as np
import pytest

from workflow_scripts.statistics.filters.strongest import Ranking, occupancy, usable_top

RNG = np.random.default_rng(0)


def test_the_first_clips_of_a_filter_have_its_places() -> None:
    values = RNG.normal(size=(50, 7))
    places = occupancy(values, 4)
    for number in range(7):
        assert set(np.flatnonzero(places[number])) == set(np.argsort(-values[:, number])[:4])
    assert np.all(places.sum(axis=1) == 4)


def test_clips_that_are_equal_share_the_places_left() -> None:
    values = np.array([[3.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(occupancy(values, 2), [[1, 1 / 3, 1 / 3, 1 / 3, 0], [2 / 5] * 5])


def test_a_resample_takes_its_clips_as_often_as_it_has_them() -> None:
    values = np.array([[5.0], [4.0], [3.0], [2.0], [1.0]])
    ranking = Ranking.of_values(values, 3)
    np.testing.assert_array_equal(ranking.clip_places(np.array([0.0, 2.0, 0.0, 2.0, 1.0])), [0, 2, 0, 1, 0])
    facts = np.arange(5.0)[:, None]
    assert ranking.mean_facts(np.array([0.0, 2.0, 0.0, 2.0, 1.0]), facts) == pytest.approx((1 + 1 + 3) / 3)


def test_the_resample_that_has_each_clip_once_is_the_test_set() -> None:
    values = RNG.normal(size=(60, 5))
    ranking = Ranking.of_values(values, 6)
    np.testing.assert_allclose(ranking.clip_places(np.ones(60)), occupancy(values, 6).sum(axis=0))


@pytest.mark.parametrize(("top", "clips", "usable"), [(100, 5329, 100), (100, 180, 18), (10, 5, 1)])
def test_places_are_at_most_a_tenth_of_the_clips(top: int, clips: int, usable: int) -> None:
    assert usable_top(top, clips) == usable
