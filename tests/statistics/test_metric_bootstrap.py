import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tests.statistics.synthetic_samples import (
    predictions,
    random_predictions,
    resampled_rows,
)
from workflow_scripts.statistics.metric_bootstrap import bootstrap_metrics
from workflow_scripts.statistics.metrics import metrics


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), task=st.sampled_from(["multilabel", "multiclass"]))
def test_a_resample_is_measured_as_the_test_set_it_stands_for(seed: int, task: str) -> None:
    stored = random_predictions(seed, task)
    replicates = bootstrap_metrics(stored, resamples=4, seed=seed)
    for number, rows in enumerate(resampled_rows(stored.clusters, resamples=4, seed=seed)):
        for trial, scores in enumerate(stored.scores):
            expected = metrics(stored.task, labels=stored.labels[rows], scores=scores[rows])
            assert {name: replicates[name].replicates[trial, number] for name in replicates} == pytest.approx(
                {name: value for name, value in expected.items() if name != "classes_skipped"}, abs=1e-10, nan_ok=True
            )


def test_weighted_metrics_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    true, score = np.arange(50) % 2, np.round(rng.random(50), 1)
    stored = predictions(
        task="multilabel",
        scores=np.stack([score, 1 - score])[..., None],
        labels=true[:, None].astype(np.float32),
        clusters=np.arange(50),
    )
    replicates = bootstrap_metrics(stored, resamples=5, seed=1)
    for number, rows in enumerate(resampled_rows(stored.clusters, resamples=5, seed=1)):
        weight = np.bincount(rows, minlength=50)
        guess = score >= 0.5
        expected = {
            "roc_auc": sk.roc_auc_score(true, score, sample_weight=weight),
            "pr_auc": sk.average_precision_score(true, score, sample_weight=weight),
            "accuracy": sk.accuracy_score(true, guess, sample_weight=weight),
            "macro_f1": sk.f1_score(true, guess, average="macro", sample_weight=weight),
            "macro_f1_positive": sk.f1_score(true, guess, sample_weight=weight),
        }
        of_classes = {
            name: bootstrap for name, bootstrap in replicates.items() if not name.endswith("_clip")
        }  # there is but one
        assert {name: bootstrap.replicates[0, number] for name, bootstrap in of_classes.items()} == pytest.approx(
            expected, abs=1e-10
        )


def test_the_values_are_those_of_the_test_set_itself() -> None:
    stored = random_predictions(0)
    replicates = bootstrap_metrics(stored, resamples=2)
    expected = [metrics(stored.task, labels=stored.labels, scores=scores) for scores in stored.scores]
    for name, bootstrap in replicates.items():
        assert bootstrap.values.tolist() == [of_trial[name] for of_trial in expected]
        assert bootstrap.clusters == len(np.unique(stored.clusters))
    areas = {"roc_auc", "pr_auc", "roc_auc_clip", "pr_auc_clip"}
    assert set(replicates) == {"macro_f1", "macro_f1_positive", "accuracy"} | areas
    assert set(bootstrap_metrics(stored, names=["pr_auc_clip"], resamples=2)) == {"pr_auc_clip"}
    assert set(bootstrap_metrics(random_predictions(0, "multiclass"), resamples=2)) == {
        "macro_f1",
        "accuracy",
        "balanced_accuracy",
    }


def test_the_same_seed_gives_the_same_bytes_and_another_another_draw() -> None:
    first, again, other = (
        bootstrap_metrics(random_predictions(0), resamples=20, seed=seed)["pr_auc"] for seed in (0, 0, 1)
    )
    assert first.replicates.tobytes() == again.replicates.tobytes()
    assert first.resample_id == again.resample_id != other.resample_id
    assert not np.array_equal(first.replicates, other.replicates)


def test_a_large_test_set_is_cut_into_parts_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_metrics(random_predictions(0), resamples=50)
    monkeypatch.setattr("workflow_scripts.statistics.metric_bootstrap.ENTRIES_AT_ONCE", 1)
    parts = bootstrap_metrics(random_predictions(0), resamples=50)
    for name, bootstrap in whole.items():
        assert bootstrap.replicates == pytest.approx(parts[name].replicates, abs=1e-15)


def test_names_of_clusters_and_their_order_do_not_matter() -> None:
    stored = random_predictions(5)
    renamed = predictions(
        task=stored.task,
        scores=stored.scores,
        labels=stored.labels,
        clusters=np.array([f"artist {g:02}" for g in stored.clusters]),
    )
    for name, bootstrap in bootstrap_metrics(stored, resamples=10).items():
        assert np.array_equal(
            bootstrap.replicates, bootstrap_metrics(renamed, resamples=10)[name].replicates, equal_nan=True
        )


def test_resamples_without_both_labels_of_a_class_leave_it_out() -> None:
    labels = np.zeros((6, 2), np.float32)
    labels[0], labels[:3, 1] = 1, 1
    stored = predictions(task="multilabel", scores=np.random.default_rng(0).random((3, 6, 2)), labels=labels,
                       clusters=np.arange(6))  # fmt: skip
    replicates = bootstrap_metrics(stored, resamples=200)["roc_auc"].replicates
    rows = resampled_rows(stored.clusters, resamples=200, seed=0)
    none = [not any(len(np.unique(labels[bootstrap, number])) == 2 for number in range(2)) for bootstrap in rows]
    assert np.array_equal(np.isnan(replicates[0]), none)
