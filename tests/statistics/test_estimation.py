import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.statistics.synthetic_samples import (
    CLIPS,
    difference_of_bootstraps,
    mean_of_bootstrap,
    predictions,
    random_predictions,
    sample,
)
from workflow_scripts.report import number_format
from workflow_scripts.statistics.estimation import (
    CONFIDENCE_LEVEL,
    EQUIVALENCE_LEVEL,
    Difference,
    add_test_set_variance,
    compare_methods,
    estimate_mean,
    p_value,
)
from workflow_scripts.statistics.inference.cluster_bootstrap import Bootstrap
from workflow_scripts.statistics.inference.confidence_intervals import ConfidenceInterval, mean_interval
from workflow_scripts.statistics.metric_bootstrap import bootstrap_metrics
from workflow_scripts.statistics.metrics import RATES
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates


@settings(deadline=None, max_examples=25)
@given(
    left=st.lists(st.integers(0, 1000), min_size=3, max_size=6),
    shift=st.integers(-300, 300),
    spread=st.integers(0, 3),
)
def test_other_test_clips_never_make_an_interval_narrower(left: list[int], shift: int, spread: int) -> None:
    treatment, reference = np.array(left) / 1000, (np.array(left)[::-1] + shift) / 1000
    for drawn in (0.0, 0.003, 0.1 * spread):
        same = ConfidenceInterval(
            low=-0.1, high=0.2, std_error=abs(treatment - reference).std() + 1e-3, df=len(left) - 1
        )
        wide = add_test_set_variance(0.05, same, [(drawn, 30)])
        assert wide.low <= same.low
        assert wide.high >= same.high
        assert p_value(0.05, wide, at_least=0.2) >= 0.2


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=6),
    clusters=st.integers(3, 8),
    replicates=st.lists(st.floats(0, 1), min_size=16, max_size=16),
    level=st.sampled_from([CONFIDENCE_LEVEL, EQUIVALENCE_LEVEL]),
)
def test_no_interval_of_a_rate_or_a_difference_of_rates_leaves_its_range(
    values: list[tuple[float, float]], clusters: int, replicates: list[float], level: float
) -> None:
    sides = [
        sample(of_side, method=method) for of_side, method in zip(np.array(values).T, ("WLPMCT", "WLP"), strict=True)
    ]
    drawn = np.array(replicates).reshape(2, 1, 8).repeat(len(values), axis=1)
    bootstraps = BootstrapReplicates(
        {
            (side.key, side.metric): Bootstrap(
                metric=side.metric, values=side.values, replicates=on_resamples, clusters=clusters, resample_id=""
            )
            for side, on_resamples in zip(sides, drawn, strict=True)
        }
    )
    for side in sides:
        estimate = estimate_mean([side], bootstraps, level=level)
        assert 0 <= estimate.ci.low <= estimate.mean <= estimate.ci.high <= 1
        assert estimate.std_errors.variance_sources == ("trials", "test set")
    difference = compare_methods(sides[:1], sides[1:], bootstraps, level=level)
    assert isinstance(difference, Difference)
    for ci in (difference.ci, difference.fixed_test_set):
        assert -1 <= ci.low <= difference.mean <= ci.high <= 1


def test_three_groups_of_test_clips_give_no_more_than_the_whole_range() -> None:
    rates = [0.95, 0.974, 0.998]
    bootstrap = Bootstrap(
        metric="macro_f1",
        values=np.array(rates),
        replicates=np.random.default_rng(0).choice([0.0, 1.0], (1, 500)).repeat(3, axis=0),
        clusters=3,
        resample_id="",
    )
    estimate = mean_of_bootstrap(bootstrap)
    assert estimate.ci.std_error > 0.4
    text = number_format.mean_with_interval(
        *(100 * value for value in (estimate.mean, estimate.ci.low, estimate.ci.high)), 1
    )
    assert text == "97.4 [0.3, 100.0]"  # not 97.4 ± 200


def test_a_count_keeps_its_plain_interval() -> None:
    estimate = estimate_mean([sample([1.0, 2.0, 6.0], metric="classes_skipped")], BootstrapReplicates())
    assert estimate.ci.low < 0
    assert estimate.ci.high > 6


def test_every_printed_rate_is_one_of_the_metrics_from_0_to_1() -> None:
    assert set(number_format.RATES) == RATES


def test_where_a_metric_is_often_undefined_nothing_is_known_of_other_test_sets() -> None:
    labels = np.zeros((6, 1), np.float32)
    labels[0] = 1  # absent from a third of the resamples
    measured = predictions(task="multilabel", scores=np.random.default_rng(0).random((3, 6, 1)), labels=labels,
                       clusters=np.arange(6))  # fmt: skip
    estimate = mean_of_bootstrap(bootstrap_metrics(measured, resamples=100)["roc_auc"])
    assert estimate.std_errors.variance_sources == ("trials",)
    assert math.isfinite(estimate.mean)


def test_trials_that_agree_on_every_clip_leave_only_the_test_set() -> None:
    measured = random_predictions(1, trials=1)
    same = predictions(
        task=measured.task,
        scores=np.repeat(measured.scores, 3, axis=0),
        labels=measured.labels,
        clusters=measured.clusters,
    )
    sampled = bootstrap_metrics(same, resamples=400)["macro_f1"]
    estimate = mean_of_bootstrap(sampled)
    clusters = estimate.clusters
    assert estimate.std_errors.trial == pytest.approx(0, abs=1e-15)
    assert estimate.ci.std_error == pytest.approx(
        sampled.replicates[0].std(ddof=1) * math.sqrt(clusters / (clusters - 1))
    )
    assert estimate.ci.df == pytest.approx(clusters - 1)


def test_the_parts_add_up_and_never_less_than_the_trials_alone() -> None:
    sampled = bootstrap_metrics(random_predictions(2), resamples=200)["macro_f1"]
    estimate, alone = mean_of_bootstrap(sampled), mean_interval(sampled.values)
    assert estimate.ci.std_error**2 == pytest.approx(estimate.std_errors.trial**2 + estimate.std_errors.test_set**2)
    assert estimate.std_errors.trial == pytest.approx(alone.std / math.sqrt(alone.n))
    assert estimate.mean == alone.mean
    assert estimate.ci.std_error >= estimate.std_errors.trial
    assert estimate.ci.low < estimate.mean < estimate.ci.high


def test_noise_that_trials_do_not_share_is_not_counted_twice() -> None:
    right = np.random.default_rng(0).random((10, 300)) < 0.7  # each trial errs on clips of its own
    labels = np.tile(np.array([1, 0], np.float32), (300, 1))
    measured = predictions(
        task="multiclass",
        scores=np.stack([right, ~right], axis=-1).astype(float),
        labels=labels,
        clusters=np.arange(300),
    )
    sampled = bootstrap_metrics(measured, resamples=1000)["accuracy"]
    assert mean_of_bootstrap(sampled).std_errors.test_set < 0.5 * sampled.replicates.mean(axis=0).std(ddof=1)


def test_the_error_of_a_plain_accuracy_is_the_binomial_one() -> None:
    labels = np.tile(np.array([1, 0], np.float32), (200, 1))
    right = np.arange(200) < 140
    scores = np.repeat(np.stack([right, ~right], axis=-1)[None].astype(float), 3, axis=0)
    measured = predictions(task="multiclass", scores=scores, labels=labels, clusters=np.arange(200))
    estimate = mean_of_bootstrap(bootstrap_metrics(measured, resamples=4000)["accuracy"])
    # 4,000 resamples know a deviation to 1.1 %
    assert estimate.std_errors.test_set == pytest.approx(math.sqrt(0.7 * 0.3 / 199), rel=0.04)


@pytest.mark.parametrize("trials", [1, 2])
def test_fewer_than_three_trials_give_no_interval(trials: int) -> None:
    estimate = mean_of_bootstrap(bootstrap_metrics(random_predictions(0, trials=trials), resamples=20)["accuracy"])
    assert not estimate.ci.is_known
    assert math.isnan(estimate.ci.std_error)


def test_fewer_than_three_clusters_say_nothing_about_other_test_sets() -> None:
    measured = random_predictions(0)
    two = predictions(task=measured.task, scores=measured.scores, labels=measured.labels, clusters=np.arange(CLIPS) % 2)
    estimate = mean_of_bootstrap(bootstrap_metrics(two, resamples=20)["accuracy"])
    assert (estimate.std_errors.variance_sources, estimate.clusters) == (("trials",), 0)


def test_what_two_methods_share_cancels_in_their_difference() -> None:
    measured = random_predictions(4, "multiclass")
    one, same = (bootstrap_metrics(measured, resamples=100)["accuracy"] for _ in range(2))
    estimate = difference_of_bootstraps(one, same)
    assert (estimate.mean, estimate.ci.low, estimate.ci.high) == (0, 0, 0)
