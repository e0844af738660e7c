import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.cluster_bootstrap import Predictions, bootstrap, combine, difference
from workflow_scripts.statistics.inference.confidence_intervals import mean_interval
from workflow_scripts.statistics.metrics import metrics

CLIPS, CLASSES, GROUPS, TRIALS = 60, 4, 15, 3


def predictions(seed: int, task: str = "multilabel", *, trials: int = TRIALS) -> Predictions:
    """Labels partly unobserved, scores with ties, groups of unequal size."""
    random = np.random.default_rng(seed)
    if task == "multiclass":
        labels = np.eye(CLASSES, dtype=np.float32)[random.integers(CLASSES, size=CLIPS)]
    else:
        labels = (random.random((CLIPS, CLASSES)) < 0.4).astype(np.float32)
        labels[random.random((CLIPS, CLASSES)) < 0.4] = np.nan
    scores = np.round(random.random((trials, CLIPS, CLASSES)) * 0.7 + 0.3 * np.nan_to_num(labels), 1)
    return Predictions(task=task, scores=scores, labels=labels, clusters=random.integers(GROUPS, size=CLIPS))


def drawn(groups: np.ndarray, *, resamples: int, seed: int) -> list[np.ndarray]:
    """Rows of the clips in each resample, by the documented draw: as many groups as there are, with replacement."""
    random = np.random.default_rng(seed)
    names = np.unique(groups)
    chosen = [names[random.integers(len(names), size=len(names))] for _ in range(resamples)]
    return [np.concatenate([np.flatnonzero(groups == name) for name in each]) for each in chosen]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), task=st.sampled_from(["multilabel", "multiclass"]))
def test_a_resample_is_measured_as_the_test_set_it_stands_for(seed: int, task: str) -> None:
    made = predictions(seed, task)
    replicates = bootstrap(made, resamples=4, seed=seed)
    for number, rows in enumerate(drawn(made.clusters, resamples=4, seed=seed)):
        for trial, scores in enumerate(made.scores):
            expected = metrics(made.task, labels=made.labels[rows], scores=scores[rows])
            assert {name: replicates[name].replicates[trial, number] for name in replicates} == pytest.approx(
                {name: value for name, value in expected.items() if name != "classes_skipped"}, abs=1e-10, nan_ok=True
            )


def test_weighted_metrics_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(3)
    true, score = np.arange(50) % 2, np.round(random.random(50), 1)
    made = Predictions(
        task="multilabel",
        scores=np.stack([score, 1 - score])[..., None],
        labels=true[:, None].astype(np.float32),
        clusters=np.arange(50),
    )
    replicates = bootstrap(made, resamples=5, seed=1)
    for number, rows in enumerate(drawn(made.clusters, resamples=5, seed=1)):
        weight = np.bincount(rows, minlength=50)
        guess = score >= 0.5
        expected = {
            "roc_auc": sk.roc_auc_score(true, score, sample_weight=weight),
            "pr_auc": sk.average_precision_score(true, score, sample_weight=weight),
            "accuracy": sk.accuracy_score(true, guess, sample_weight=weight),
            "macro_f1": sk.f1_score(true, guess, average="macro", sample_weight=weight),
            "macro_f1_positive": sk.f1_score(true, guess, sample_weight=weight),
        }
        of_classes = {name: each for name, each in replicates.items() if not name.endswith("_clip")}  # there is but one
        assert {name: each.replicates[0, number] for name, each in of_classes.items()} == pytest.approx(
            expected, abs=1e-10
        )


def test_the_values_are_those_of_the_test_set_itself() -> None:
    made = predictions(0)
    replicates = bootstrap(made, resamples=2)
    expected = [metrics(made.task, labels=made.labels, scores=scores) for scores in made.scores]
    for name, each in replicates.items():
        assert each.values.tolist() == [of_trial[name] for of_trial in expected]
        assert each.clusters == len(np.unique(made.clusters))
    areas = {"roc_auc", "pr_auc", "roc_auc_clip", "pr_auc_clip"}
    assert set(replicates) == {"macro_f1", "macro_f1_positive", "accuracy"} | areas
    assert set(bootstrap(made, names=["pr_auc_clip"], resamples=2)) == {"pr_auc_clip"}
    assert set(bootstrap(predictions(0, "multiclass"), resamples=2)) == {"macro_f1", "accuracy", "balanced_accuracy"}


def test_the_same_seed_gives_the_same_bytes_and_another_another_draw() -> None:
    first, again, other = (bootstrap(predictions(0), resamples=20, seed=seed)["pr_auc"] for seed in (0, 0, 1))
    assert first.replicates.tobytes() == again.replicates.tobytes()
    assert first.resample_id == again.resample_id != other.resample_id
    assert not np.array_equal(first.replicates, other.replicates)


def test_a_large_test_set_is_cut_into_parts_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(predictions(0), resamples=50)
    monkeypatch.setattr("workflow_scripts.statistics.inference.cluster_bootstrap.ENTRIES_AT_ONCE", 1)
    parts = bootstrap(predictions(0), resamples=50)
    for name, each in whole.items():
        assert each.replicates == pytest.approx(parts[name].replicates, abs=1e-15)


def test_names_of_groups_and_their_order_do_not_matter() -> None:
    made = predictions(5)
    renamed = Predictions(
        task=made.task,
        scores=made.scores,
        labels=made.labels,
        clusters=np.array([f"artist {g:02}" for g in made.clusters]),
    )
    for name, each in bootstrap(made, resamples=10).items():
        assert np.array_equal(each.replicates, bootstrap(renamed, resamples=10)[name].replicates, equal_nan=True)


def test_resamples_without_both_labels_of_a_class_leave_it_out() -> None:
    labels = np.zeros((6, 2), np.float32)
    labels[0], labels[:3, 1] = 1, 1
    made = Predictions(task="multilabel", scores=np.random.default_rng(0).random((3, 6, 2)), labels=labels,
                       clusters=np.arange(6))  # fmt: skip
    replicates = bootstrap(made, resamples=200)["roc_auc"].replicates
    rows = drawn(made.clusters, resamples=200, seed=0)
    none = [not any(len(np.unique(labels[each, number])) == 2 for number in range(2)) for each in rows]
    assert np.array_equal(np.isnan(replicates[0]), none)


def test_where_a_metric_is_often_undefined_there_is_no_interval() -> None:
    labels = np.zeros((6, 1), np.float32)
    labels[0] = 1  # absent from a third of the resamples
    made = Predictions(task="multilabel", scores=np.random.default_rng(0).random((3, 6, 1)), labels=labels,
                       clusters=np.arange(6))  # fmt: skip
    combined = combine(bootstrap(made, resamples=100)["roc_auc"])
    assert not combined.known
    assert math.isfinite(combined.mean)


def test_trials_that_agree_on_every_clip_leave_only_the_test_set() -> None:
    made = predictions(1, trials=1)
    same = Predictions(
        task=made.task, scores=np.repeat(made.scores, 3, axis=0), labels=made.labels, clusters=made.clusters
    )
    sampled = bootstrap(same, resamples=400)["macro_f1"]
    combined = combine(sampled)
    groups = combined.clusters
    assert combined.se_trial == pytest.approx(0, abs=1e-15)
    assert combined.std_error == pytest.approx(sampled.replicates[0].std(ddof=1) * math.sqrt(groups / (groups - 1)))
    assert combined.df == pytest.approx(groups - 1)


def test_the_parts_add_up_and_never_less_than_the_trials_alone() -> None:
    sampled = bootstrap(predictions(2), resamples=200)["macro_f1"]
    combined, alone = combine(sampled), mean_interval(sampled.values)
    assert combined.std_error**2 == pytest.approx(combined.se_trial**2 + combined.se_test_set**2)
    assert combined.trial_std == pytest.approx(alone.std)
    assert combined.se_trial == pytest.approx(alone.std / math.sqrt(alone.n))
    assert combined.mean == alone.mean
    assert combined.std_error >= combined.se_trial
    assert combined.low < combined.mean < combined.high


def test_noise_that_trials_do_not_share_is_not_counted_twice() -> None:
    right = np.random.default_rng(0).random((10, 300)) < 0.7  # each trial errs on clips of its own
    labels = np.tile(np.array([1, 0], np.float32), (300, 1))
    made = Predictions(
        task="multiclass",
        scores=np.stack([right, ~right], axis=-1).astype(float),
        labels=labels,
        clusters=np.arange(300),
    )
    sampled = bootstrap(made, resamples=1000)["accuracy"]
    assert combine(sampled).se_test_set < 0.5 * sampled.replicates.mean(axis=0).std(ddof=1)


def test_the_error_of_a_plain_accuracy_is_the_binomial_one() -> None:
    labels = np.tile(np.array([1, 0], np.float32), (200, 1))
    right = np.arange(200) < 140
    scores = np.repeat(np.stack([right, ~right], axis=-1)[None].astype(float), 3, axis=0)
    made = Predictions(task="multiclass", scores=scores, labels=labels, clusters=np.arange(200))
    combined = combine(bootstrap(made, resamples=4000)["accuracy"])
    # 4,000 resamples know a deviation to 1.1 %
    assert combined.se_test_set == pytest.approx(math.sqrt(0.7 * 0.3 / 199), rel=0.04)


@pytest.mark.parametrize("trials", [1, 2])
def test_fewer_than_three_trials_give_no_interval(trials: int) -> None:
    combined = combine(bootstrap(predictions(0, trials=trials), resamples=20)["accuracy"])
    assert not combined.known
    assert math.isnan(combined.std_error)


def test_fewer_than_three_groups_give_no_interval() -> None:
    made = predictions(0)
    two = Predictions(task=made.task, scores=made.scores, labels=made.labels, clusters=np.arange(CLIPS) % 2)
    assert not combine(bootstrap(two, resamples=20)["accuracy"]).known


def test_what_two_methods_share_cancels_in_their_difference() -> None:
    made = predictions(4, "multiclass")
    one, same = (bootstrap(made, resamples=100)["accuracy"] for _ in range(2))
    combined = combine(difference(one, same))
    assert (combined.mean, combined.low, combined.high) == (0, 0, 0)


def test_methods_on_other_clips_draws_metrics_or_trials_are_not_compared() -> None:
    one = bootstrap(predictions(0), resamples=10)
    for other in (
        bootstrap(predictions(1), resamples=10)["accuracy"],
        bootstrap(predictions(0), resamples=11)["accuracy"],
        bootstrap(predictions(0), resamples=10, seed=1)["accuracy"],
        bootstrap(predictions(0, trials=2), resamples=10)["accuracy"],
        one["macro_f1"],
    ):
        with pytest.raises(UserError, match="same test clips"):
            difference(one["accuracy"], other)


def test_parts_of_different_runs_are_refused() -> None:
    made = predictions(0)
    with pytest.raises(UserError, match="do not belong together"):
        Predictions(task=made.task, scores=made.scores, labels=made.labels[1:], clusters=made.clusters[1:])
    with pytest.raises(UserError, match="do not belong together"):
        Predictions(task=made.task, scores=made.scores, labels=made.labels, clusters=made.clusters[1:])
