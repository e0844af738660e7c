import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.class_metrics import metric_of_classes, row_percent
from workflow_scripts.statistics.estimation import ValueRange, mean_matrix
from workflow_scripts.statistics.inference.confidence_intervals import mean_interval
from workflow_scripts.statistics.metrics import metrics

NAMES = ("roc_auc", "pr_auc", "macro_f1", "macro_f1_positive", "accuracy")


def draw_labels_and_scores(
    seed: int, *, clips: int = 40, classes: int = 4, trials: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Labels with some unobserved, and scores."""
    random = np.random.default_rng(seed)
    labels = (random.random((clips, classes)) < random.random(classes)).astype(np.float32)
    labels[random.random((clips, classes)) < 0.2] = np.nan
    return labels, random.random((trials, clips, classes))


@pytest.mark.parametrize("metric", NAMES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_mean_over_the_classes_is_the_metric(metric: str, seed: int) -> None:
    labels, scores = draw_labels_and_scores(seed)
    values = metric_of_classes(metric, labels=labels, scores=scores)
    assert values.shape == (2, 4)
    for of_trial, of_trial_scores in zip(values, scores, strict=True):
        stated = metrics("multilabel", labels=labels, scores=of_trial_scores)[metric]
        known = of_trial[~np.isnan(of_trial)]
        assert (known.mean() if len(known) else np.nan) == pytest.approx(stated, nan_ok=True)


def test_a_class_by_itself_is_what_scikit_learn_says() -> None:
    labels, scores = draw_labels_and_scores(0)
    seen = ~np.isnan(labels[:, 2])
    true, score = labels[seen, 2], scores[1, seen, 2]
    observed = {name: metric_of_classes(name, labels=labels, scores=scores)[1, 2] for name in NAMES}
    assert observed["roc_auc"] == pytest.approx(roc_auc_score(true, score))
    assert observed["pr_auc"] == pytest.approx(average_precision_score(true, score))
    assert observed["macro_f1_positive"] == pytest.approx(f1_score(true, score >= 0.5))
    assert observed["accuracy"] == pytest.approx((true == (score >= 0.5)).mean())


def test_a_class_with_one_label_has_no_area_but_an_accuracy() -> None:
    labels, scores = draw_labels_and_scores(1)
    labels[:, 0] = 1
    assert np.isnan(metric_of_classes("roc_auc", labels=labels, scores=scores)[:, 0]).all()
    assert np.isfinite(metric_of_classes("accuracy", labels=labels, scores=scores)[:, 0]).all()


def test_a_metric_that_is_no_mean_over_classes_is_refused() -> None:
    with pytest.raises(UserError, match="balanced_accuracy is not measured class by class; allowed: roc_auc, pr_auc"):
        metric_of_classes("balanced_accuracy", labels=np.ones((2, 2)), scores=np.ones((1, 2, 2)))


def test_rows_are_percent_of_the_true_class() -> None:
    rates = row_percent(np.array([[[3, 1], [0, 5]], [[2, 2], [1, 4]]]))
    assert rates.tolist() == [[[75, 25], [0, 100]], [[50, 50], [20, 80]]]


def test_a_class_without_clips_has_no_rates() -> None:
    rates = row_percent(np.array([[0, 0], [1, 3]]))
    assert np.isnan(rates[0]).all()
    assert rates[1].tolist() == [25, 75]


def test_each_entry_has_its_own_interval() -> None:
    rates = np.random.default_rng(0).uniform(0, 100, (5, 3, 3))
    within = ValueRange(largest=100)
    matrix = mean_matrix(rates, within=within)
    for row in range(3):
        for column in range(3):
            expected = mean_interval(rates[:, row, column], within=within)
            assert matrix[row][column].mean == pytest.approx(expected.mean)
            assert matrix[row][column].ci.high == pytest.approx(expected.ci.high)
