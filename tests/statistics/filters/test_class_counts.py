import numpy as np
import pytest

from tests.statistics.filters.responses import responses
from workflow_scripts.statistics.filters import class_counts

RNG = np.random.default_rng(0)
TAGS = RNG.random((400, 5)) < [0.5, 0.3, 0.2, 0.1, 0.05]


def test_counts_of_a_filter_add_up_to_the_tags_of_its_clips() -> None:
    values = RNG.normal(size=(400, 8))
    counted = class_counts.count_classes(responses(values, TAGS), top=30)
    for number in range(8):
        chosen = np.argsort(-values[:, number])[:30]
        np.testing.assert_allclose(counted.counts[number], TAGS[chosen].sum(axis=0))
        assert counted.counts[number].sum() == TAGS[chosen].sum()


def test_a_constant_filter_has_the_expected_counts() -> None:
    counted = class_counts.count_classes(responses(np.zeros((400, 2)), TAGS), top=40)
    np.testing.assert_allclose(counted.counts, np.tile(counted.expected, (2, 1)))
    np.testing.assert_allclose(counted.expected, 40 * TAGS.mean(axis=0))
    estimates = class_counts.estimate_excess([np.zeros((400, 2))], TAGS, clusters=np.arange(400) % 40, top=40)
    np.testing.assert_allclose(estimates.values, 0, atol=1e-9)


def test_each_clip_behind_a_tag_counts_once_however_many_filters_share_it() -> None:
    counted = class_counts.count_classes(responses(np.tile(RNG.normal(size=(400, 1)), (1, 50)), TAGS), top=20)
    np.testing.assert_array_equal(counted.distinct, counted.counts[0])


def test_the_excess_is_that_of_what_filters_respond_to() -> None:
    values = 5 * TAGS[:, [1]] + RNG.normal(size=(400, 30))
    estimates = class_counts.estimate_excess([values], TAGS, clusters=np.arange(400) % 40, top=40)
    counted = class_counts.count_classes(responses(values, TAGS), top=40)
    np.testing.assert_allclose(estimates.values, 100 * (counted.counts.mean(axis=0) / counted.expected - 1))
    assert estimates.interval(1).low > 100  # 30 % of all clips have the tag, nearly all that activate a filter most
    assert estimates.interval(0).low < 0 < estimates.interval(0).high


def test_over_other_filters_the_excess_is_the_difference() -> None:
    values, other = (5 * TAGS[:, [tag]] + RNG.normal(size=(400, 30)) for tag in (1, 2))
    clusters = np.arange(400) % 40
    alone = [class_counts.estimate_excess([side], TAGS, clusters=clusters, top=40).values for side in (values, other)]
    both = class_counts.estimate_excess([values], TAGS, clusters=clusters, top=40, over=[other])
    np.testing.assert_allclose(both.values, alone[0] - alone[1])
    same = class_counts.estimate_excess([values], TAGS, clusters=clusters, top=40, over=[values])
    np.testing.assert_allclose(same.values, 0)
    assert same.std_errors == pytest.approx(0, abs=1e-9)
