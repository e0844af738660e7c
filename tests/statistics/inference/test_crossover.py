import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.statistics.inference.crossover import find_crossover

SIZES = [100, 200, 400, 800]


def flat(means: list[float], trials: int = 10, noise: float = 0.0) -> np.ndarray:
    """Differences with these means; the noise of a trial is the same at every size."""
    return np.array(means)[:, None] + noise * np.linspace(-1, 1, trials)


def test_the_crossing_lies_between_two_sizes_on_the_logarithm() -> None:
    crossover = find_crossover(SIZES, flat([-3, -1, 1, 2]))
    assert crossover.outcome == "crossing"
    assert crossover.size == pytest.approx(200 * math.sqrt(2))
    assert (crossover.ci.low, crossover.ci.high) == (pytest.approx(crossover.size), pytest.approx(crossover.size))
    assert (crossover.crosses, crossover.always, crossover.never) == (1, 0, 0)
    assert find_crossover(SIZES, flat([-3, -1, 3, 4])).size == pytest.approx(200 * 2**0.25)


@pytest.mark.parametrize(
    ("means", "outcome", "size"),
    [
        ([1, 2, 3, 4], "always better", 0),
        ([-4, -3, -2, -1], "never better", math.inf),
        ([1, 1, -1, -1], "never better", math.inf),
        ([0, 0, 0, 0], "never better", math.inf),
    ],
)
def test_there_may_be_none(means: list[float], outcome: str, size: float) -> None:
    crossover = find_crossover(SIZES, flat(means))
    assert (crossover.outcome, crossover.size, crossover.ci.low, crossover.ci.high) == (outcome, size, size, size)


def test_the_last_of_several_counts() -> None:
    assert find_crossover(SIZES, flat([-1, 1, -1, 1])).size == pytest.approx(400 * math.sqrt(2))


def test_trials_that_do_not_agree_leave_it_undetermined() -> None:
    crossover = find_crossover(SIZES, flat([-0.5, -0.2, 0.1, 0.2], noise=3))
    assert crossover.outcome == "undetermined"
    assert 0.0 < crossover.crosses < 1
    assert crossover.crosses + crossover.always + crossover.never == pytest.approx(1)
    assert (crossover.ci.low, crossover.ci.high) == (0, math.inf)


def test_the_interval_is_the_bootstrap_over_whole_trials() -> None:
    differences = flat([-3, -1, 1, 3], noise=0.8) + np.random.default_rng(3).normal(0, 0.2, (4, 10))
    crossover = find_crossover(SIZES, differences, resamples=400, seed=5)
    drawn = np.random.default_rng(5).integers(10, size=(400, 10))
    means = differences.mean(axis=1)
    wider = 2.262157 / 1.959964 * math.sqrt(10 / 9)  # t of ten values against the normal one
    ends = [
        find_crossover(SIZES, np.tile(means + wider * (differences[:, trials].mean(axis=1) - means), (2, 1)).T).size
        for trials in drawn
    ]
    assert crossover.ci.low == pytest.approx(np.quantile(ends, 0.025, method="lower"), rel=1e-5)
    assert crossover.ci.high == pytest.approx(np.quantile(ends, 0.975, method="higher"), rel=1e-5)
    assert crossover.ci.low < crossover.size < crossover.ci.high
    assert find_crossover(SIZES, differences, resamples=400, seed=5) == crossover
    assert find_crossover(SIZES, differences, resamples=400, seed=6) != crossover


def test_two_trials_give_a_place_without_interval() -> None:
    crossover = find_crossover(SIZES, flat([-3, -1, 1, 3], trials=2))
    assert crossover.outcome == "undetermined"
    assert crossover.size == pytest.approx(200 * math.sqrt(2))
    assert math.isnan(crossover.ci.low)
    assert math.isnan(crossover.crosses)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.sampled_from([0.25, 8, 128]))
def test_the_unit_of_the_metric_does_not_matter(means: list[float], unit: float) -> None:
    differences = flat(means, noise=0.3)
    one, other = (find_crossover(SIZES, scale * differences, resamples=50) for scale in (1, unit))
    assert one.outcome == other.outcome
    assert one.size == other.size  # powers of two change no digit


@pytest.mark.parametrize(("trials", "least"), [(3, 0.88), (5, 0.92), (10, 0.93)])
def test_the_interval_covers_the_true_crossing(trials: int, least: float) -> None:
    random = np.random.default_rng(trials)
    true = np.array([-3.0, -1.0, 1.0, 3.0])[:, None]
    covered = 0
    for _ in range(400):
        noise = random.normal(0, 0.6, trials) + random.normal(0, 0.6, (4, trials))
        crossover = find_crossover(SIZES, true + noise, resamples=300)
        covered += crossover.ci.low <= 200 * math.sqrt(2) <= crossover.ci.high
    assert least < covered / 400 <= 0.99


def test_three_trials_that_agree_do_not_decide() -> None:
    claims = 0
    for seed in range(300):
        noise = np.random.default_rng(seed).normal(0, 1, 3)
        claims += find_crossover(SIZES, np.tile(noise, (4, 1)), resamples=300).outcome != "undetermined"
    assert claims / 300 < 0.08  # a plain percentile interval claims a quarter of them


@pytest.mark.parametrize(
    ("sizes", "shape"), [([200, 100], (2, 3)), ([100, 100], (2, 3)), ([100, 200], (3, 3)), ([100, 200], (2,))]
)
def test_what_makes_no_sense_is_refused(sizes: list[int], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        find_crossover(sizes, np.zeros(shape))
