import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.statistics import embedding_layout


def test_points_that_lie_apart_lie_apart_on_the_map() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 20)
    vectors = np.eye(3)[classes] * 20 + rng.normal(0, 1, (60, 3))
    places = embedding_layout.tsne(vectors, perplexity=10)
    assert places.shape == (60, 2)
    share, chance = embedding_layout.agreement(places, classes=classes, apart=np.arange(60))
    assert (share, chance) == (1, pytest.approx(19 / 59))


def test_the_same_vectors_give_the_same_places() -> None:
    vectors = np.random.default_rng(1).normal(0, 1, (60, 5))
    np.testing.assert_array_equal(
        embedding_layout.tsne(vectors, perplexity=5), embedding_layout.tsne(vectors, perplexity=5)
    )


@settings(deadline=None, max_examples=25)
@given(wanted=st.floats(1, 100), points=st.integers(embedding_layout.MIN_POINTS, 10_000))
def test_the_perplexity_leaves_three_times_as_many_neighbours(wanted: float, points: int) -> None:
    usable = embedding_layout.usable_perplexity(wanted, points)
    assert usable <= wanted
    assert 3 * usable <= points - 1
    assert usable == wanted or 3 * usable == pytest.approx(points - 1)


def test_neighbours_of_the_same_group_do_not_count() -> None:
    vectors = np.array([[0.0], [0.1], [1.0], [1.2]])
    classes, groups = np.array(["a", "a", "b", "a"]), np.array([0, 0, 1, 1])
    # nearest from the other group: 1.0 (b), 1.0 (b), 0.1 (a), 0.1 (a); that have the same class: the last
    share, chance = embedding_layout.agreement(vectors, classes=classes, apart=groups)
    assert share == 0.25
    assert chance == pytest.approx(np.mean([0.5, 0.5, 0.0, 1.0]))


def test_one_group_has_no_neighbours() -> None:
    layout = embedding_layout.agreement(np.zeros((3, 1)), classes=np.array(["a", "a", "b"]), apart=np.zeros(3))
    assert np.isnan(layout).all()
