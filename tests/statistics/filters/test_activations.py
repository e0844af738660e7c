import numpy as np
import pytest

from tests.statistics.filters.responses import responses
from workflow_scripts.statistics.filters import activations

NAMES = list(activations.MEASURES)


def of_clip(*values: float) -> dict[str, float]:
    """Measures of one clip; the largest activations of all filters are 1."""
    both = np.array([values, [1.0] * len(values)])
    return dict(zip(NAMES, activations.measure_clips(both)[0], strict=True))


def test_filters_that_respond_equally_all_count() -> None:
    measures = of_clip(1, 1, 1, 1)
    assert measures == pytest.approx({"active_share": 100, "strong_share": 100, "effective_filters": 4, "gini": 0})


def test_a_single_filter_counts_once() -> None:
    measures = of_clip(0, 0, 1, 0)
    assert measures == pytest.approx({"active_share": 25, "strong_share": 25, "effective_filters": 1, "gini": 0.75})


def test_weak_responses_are_above_zero_but_below_a_tenth_of_the_maximum() -> None:
    measures = of_clip(1, 0.05, 0.05, 0)
    assert (measures["active_share"], measures["strong_share"]) == (75, 25)


def test_a_clip_without_any_response_uses_no_filter() -> None:
    assert of_clip(0, -1, 0, 0) == pytest.approx(dict.fromkeys(NAMES, 0))


def test_curves_never_rise_and_the_first_point_is_the_largest_activation() -> None:
    values = np.random.default_rng(0).normal(size=(300, 20))
    curves = activations.filter_curves(values, activations.spread_ranks(300, 50))
    assert curves.shape == (20, 50)
    assert (np.diff(curves, axis=1) <= 0).all()
    np.testing.assert_array_equal(curves[:, 0], values.max(axis=0))
    np.testing.assert_array_equal(curves[:, -1], values.min(axis=0))


def test_a_difference_between_data_sets_has_an_interval_over_their_songs() -> None:
    rng = np.random.default_rng(0)
    sparse, dense = (responses(np.maximum(rng.normal(mean, 1, (400, 30)), 0)) for mean in (-1, 0.5))
    of, over = (activations.measure_clips(side.values).mean(axis=0) for side in (dense, sparse))
    estimates = activations.estimate_measures(dense, sparse)
    np.testing.assert_allclose(estimates.values, of - over)
    assert estimates.interval(NAMES.index("effective_filters")).low > 0
    assert estimates.interval(NAMES.index("gini")).high < 0


def test_the_interval_of_a_mean_is_that_of_its_songs() -> None:
    """All clips of a song are alike, so the songs are the evidence, not the clips."""
    songs = np.random.default_rng(1).uniform(0, 1, (40, 1)) > np.linspace(0, 1, 50)
    estimates = activations.estimate_measures(responses(np.tile(songs, (10, 1)) * 1.0))
    shares = 100 * songs.mean(axis=1)
    assert estimates.std_errors[0] == pytest.approx(shares.std(ddof=1) / np.sqrt(40), rel=0.1)
