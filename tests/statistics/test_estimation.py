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
)
from workflow_scripts.statistics.estimation import add_test_set_variance, p_value
from workflow_scripts.statistics.inference.confidence_intervals import ConfidenceInterval, mean_interval
from workflow_scripts.statistics.metric_bootstrap import bootstrap_metrics


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
