import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.metrics import area, confusion, metrics


def multilabel_case(seed, clips=60, classes=5):
    generator = np.random.default_rng(seed)
    labels = (generator.random((clips, classes)) < 0.4).astype(np.float32)
    labels[generator.random((clips, classes)) < 0.5] = np.nan
    return labels, generator.random((clips, classes)).astype(np.float32)


def multiclass_case(seed, clips=60, classes=5):
    generator = np.random.default_rng(seed)
    labels = np.eye(classes, dtype=np.float32)[generator.integers(classes, size=clips)]
    return labels, generator.dirichlet(np.ones(classes), size=clips).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_multiclass_equals_scikit_learn(seed):
    labels, scores = multiclass_case(seed)
    true, predicted = labels.argmax(1), scores.argmax(1)
    assert metrics("multiclass", labels=labels, scores=scores) == {
        "macro_f1": sk.f1_score(true, predicted, average="macro"),
        "accuracy": sk.accuracy_score(true, predicted),
        "balanced_accuracy": pytest.approx(sk.balanced_accuracy_score(true, predicted), abs=1e-15),
    }
    assert np.array_equal(confusion("multiclass", labels=labels, scores=scores), sk.confusion_matrix(true, predicted))


@pytest.mark.parametrize("seed", range(3))
def test_multilabel_equals_a_loop_of_binary_problems(seed):
    labels, scores = multilabel_case(seed)
    problems = []
    for number in range(labels.shape[1]):
        looked = ~np.isnan(labels[:, number])
        problems.append((labels[looked, number], scores[looked, number], (scores[looked, number] >= 0.5).astype(float)))
    seen = [(true[~np.isnan(true)], score[~np.isnan(true)]) for true, score in zip(labels, scores, strict=True)]
    clips = [(true, score) for true, score in seen if len(np.unique(true)) == 2]
    assert 0 < len(clips) < len(labels)
    expected = {
        "macro_f1": np.mean([sk.f1_score(true, guess, average="macro") for true, _, guess in problems]),
        "macro_f1_positive": np.mean([sk.f1_score(true, guess) for true, _, guess in problems]),
        "accuracy": np.mean([sk.accuracy_score(true, guess) for true, _, guess in problems]),
        "roc_auc": np.mean([sk.roc_auc_score(true, score) for true, score, _ in problems]),
        "pr_auc": np.mean([sk.average_precision_score(true, score) for true, score, _ in problems]),
        "classes_skipped": 0.0,
        "roc_auc_clip": np.mean([sk.roc_auc_score(true, score) for true, score in clips]),
        "pr_auc_clip": np.mean([sk.average_precision_score(true, score) for true, score in clips]),
    }
    assert metrics("multilabel", labels=labels, scores=scores) == pytest.approx(expected, abs=1e-15)
    counts = confusion("multilabel", labels=labels, scores=scores)
    assert counts.dtype == np.int64
    assert np.array_equal(counts, [sk.confusion_matrix(true, guess, labels=[0, 1]) for true, _, guess in problems])


@pytest.mark.parametrize("clips", [20, 513])  # the latter are more than are compared at once
def test_areas_of_clips_equal_scikit_learn_with_ties_too(clips):
    labels, scores = multilabel_case(clips, clips=clips, classes=6)
    scores = scores.round(1)
    seen = [(true[~np.isnan(true)], score[~np.isnan(true)]) for true, score in zip(labels, scores, strict=True)]
    both = [(true, score) for true, score in seen if len(np.unique(true)) == 2]
    values = metrics("multilabel", labels=labels, scores=scores)
    assert values["roc_auc_clip"] == pytest.approx(np.mean([sk.roc_auc_score(*clip) for clip in both]), abs=1e-12)
    assert values["pr_auc_clip"] == pytest.approx(
        np.mean([sk.average_precision_score(*clip) for clip in both]), abs=1e-12
    )


@given(seed=st.integers(0, 10**6), clips=st.integers(2, 200), digits=st.integers(1, 7))
@settings(deadline=None, max_examples=50)
def test_areas_of_one_class_equal_scikit_learn_with_ties_too(seed, clips, digits):
    generator = np.random.default_rng(seed)
    true = (generator.permutation(clips) < generator.integers(1, clips)).astype(np.float32)
    score = generator.random(clips).astype(np.float32).round(digits)
    assert area("roc_auc", true, score) == pytest.approx(sk.roc_auc_score(true, score), abs=1e-14)
    assert area("pr_auc", true, score) == pytest.approx(sk.average_precision_score(true, score), abs=1e-14)


def test_classes_without_both_labels_are_skipped_in_areas_and_counted():
    labels = np.array([[1, 1, np.nan], [0, 1, np.nan]], np.float32)
    scores = np.array([[0.9, 0.9, 0.1], [0.1, 0.8, 0.9]], np.float32)
    values = metrics("multilabel", labels=labels, scores=scores)
    assert values["roc_auc"] == values["pr_auc"] == 1.0
    assert values["classes_skipped"] == 2
    assert values["macro_f1"] == 1.0
    assert confusion("multilabel", labels=labels, scores=scores)[2].sum() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("task", "case"), [("multiclass", multiclass_case), ("multilabel", multilabel_case)])
def test_scores_that_are_not_finite_are_refused(task, case, value):
    labels, scores = case(0)
    scores[3, 1] = value
    with pytest.raises(UserError, match="the scores of 1 test clips are not finite"):
        metrics(task, labels=labels, scores=scores)


def test_nothing_observed_gives_no_number():
    values = metrics("multilabel", labels=np.full((3, 2), np.nan, np.float32), scores=np.zeros((3, 2), np.float32))
    assert np.isnan(values["macro_f1"])
    assert np.isnan(values["roc_auc"])
    assert values["classes_skipped"] == 2


def test_a_class_without_test_clips_counts_in_macro_f1_and_not_in_balanced_accuracy():
    labels = np.eye(3, dtype=np.float32)[[0, 1]]
    values = metrics("multiclass", labels=labels, scores=labels)
    assert values["macro_f1"] == pytest.approx(2 / 3)
    assert values["balanced_accuracy"] == values["accuracy"] == 1.0


@given(seed=st.integers(0, 10**6), clips=st.integers(2, 30), classes=st.integers(2, 6))
@settings(deadline=None, max_examples=25)
def test_metrics_lie_in_range_and_do_not_depend_on_clip_order(seed, clips, classes):
    for task, case in (("multiclass", multiclass_case), ("multilabel", multilabel_case)):
        labels, scores = case(seed, clips, classes)
        values = metrics(task, labels=labels, scores=scores)
        skipped = values.pop("classes_skipped", 0)
        assert 0 <= skipped <= classes
        assert all(np.isnan(value) or 0 <= value <= 1 for value in values.values())
        shuffled = np.random.default_rng(seed).permutation(clips)
        again = metrics(task, labels=labels[shuffled], scores=scores[shuffled])
        assert values == pytest.approx({name: again[name] for name in values}, nan_ok=True)
        counts = confusion(task, labels=labels, scores=scores)
        assert counts.sum() == (clips if task == "multiclass" else np.sum(~np.isnan(labels)))


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_unobserved_entries_change_nothing(seed):
    labels, scores = multilabel_case(seed)
    other = np.where(np.isnan(labels), 1 - scores, scores)
    assert metrics("multilabel", labels=labels, scores=scores) == metrics("multilabel", labels=labels, scores=other)
