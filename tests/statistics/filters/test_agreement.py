import numpy as np
import pytest

from tests.statistics.filters.responses import responses
from workflow_scripts.statistics.filters import agreement
from workflow_scripts.statistics.filters.agreement import Side

QUALITIES = 3


def side(seed: int, weights: np.ndarray, *, noise: float = 0.3) -> Side:
    """Clips of a data set with filters that respond to a weighted sum of its qualities."""
    rng = np.random.default_rng(seed)
    facts = rng.normal(size=(300, QUALITIES))
    values = facts @ weights.T + noise * rng.normal(size=(300, len(weights)))
    return Side(responses=responses(values), facts=facts)


def weights(seed: int = 0, filters: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(filters, QUALITIES))


def test_filters_that_are_a_quality_agree_in_two_data_sets_and_shuffled_ones_do_not() -> None:
    pair = (side(1, weights()), side(2, weights()))
    estimates, null = agreement.estimate_agreement(pair), agreement.permute_filters(pair)
    assert all(estimates.interval(place).low > 0.5 for place in range(QUALITIES + 1))
    assert (null.p < 0.01).all()
    shuffled = (pair[0], side(2, np.random.default_rng(5).permutation(weights())))
    assert (np.abs(agreement.estimate_agreement(shuffled).values) < 0.3).all()
    assert (agreement.permute_filters(shuffled).p > 0.01).all()


def test_the_last_value_is_the_mean_over_the_qualities() -> None:
    values = agreement.estimate_agreement((side(1, weights()), side(2, weights()))).values
    assert values[-1] == pytest.approx(values[:-1].mean())


def test_over_another_encoder_it_is_the_difference() -> None:
    pair, floor = (
        (side(1, weights(), noise=noise), side(2, weights(seed), noise=noise)) for noise, seed in ((0.3, 0), (0.3, 9))
    )
    gain = agreement.estimate_agreement(pair, over=floor)
    separate = [agreement.estimate_agreement(sides).values for sides in (pair, floor)]
    np.testing.assert_allclose(gain.values, separate[0] - separate[1])
    assert gain.interval(QUALITIES).low > 0


def test_the_mean_of_a_quality_is_that_of_the_most_activating_clips() -> None:
    one = side(1, weights(filters=4))
    means = agreement.filter_means(one, top=10)
    for number in range(4):
        chosen = np.argsort(-one.responses.values[:, number])[:10]
        np.testing.assert_allclose(means[number], one.facts[chosen].mean(axis=0))


def test_coherent_filters_are_those_that_respond_to_one_sound() -> None:
    selective = np.array([[1.0, 1.0, 1.0]])
    one = side(1, np.concatenate([0 * weights(filters=9), 5 * selective]), noise=1)
    assert agreement.find_coherent(one, most=1) == [9]
