"""Metrics of one trial's predictions on the test split. Torch-free.

All equal scikit-learn's. Those that follow from counts are computed from the confusion matrix, since its checks of
every argument took longer than the training of the heads; curves are scikit-learn's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from workflow_scripts.audio.index import Task

THRESHOLD = 0.5  # of a multilabel probability; the official OpenMIC baseline's


def metrics(task: Task, *, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Name to value of every metric; labels and scores (probabilities) are (clips, classes), NaN labels unobserved.

    multiclass: `macro_f1` over the classes of the data set (a class without test clips and without predictions counts
    as 0), `accuracy`, and `balanced_accuracy`, the mean recall over the classes that have test clips.

    multilabel, each class on its observed entries only, then the mean over classes that have any: `macro_f1`
    (headline) averages the F1 of label 1 and of label 0; `macro_f1_positive` takes label 1 only (Wu et al. do not say
    which they mean); `accuracy`; `roc_auc` and `pr_auc` over the classes that have both labels, `classes_skipped` being
    the number of the others. NaN without classes.
    """
    counts = confusion(task, labels=labels, scores=scores)
    return _multiclass(counts) if task == "multiclass" else _multilabel(counts) | _areas(labels, scores)


def confusion(task: Task, *, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Counts [true, predicted], int64: (classes, classes), or for multilabel (classes, 2, 2) over observed entries."""
    if task == "multiclass":
        return _counts(labels.argmax(axis=1), scores.argmax(axis=1), size=labels.shape[1])
    pairs = _observed(labels, scores)
    return np.stack([_counts(true.astype(int), (score >= THRESHOLD).astype(int), size=2) for true, score in pairs])


def _observed(labels: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each class the labels and scores of the clips for which somebody looked at it."""
    looked = ~np.isnan(labels)
    return [(labels[rows, number], scores[rows, number]) for number, rows in enumerate(looked.T)]


def _counts(true: np.ndarray, predicted: np.ndarray, *, size: int) -> np.ndarray:
    return np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)


def _multiclass(counts: np.ndarray) -> dict[str, float]:
    hits, total = np.diagonal(counts), counts.sum(axis=1)
    return {
        "macro_f1": float(np.nan_to_num(_f1(counts)).mean()),
        "accuracy": float(hits.sum() / total.sum()),
        "balanced_accuracy": float((hits[total > 0] / total[total > 0]).mean()),
    }


def _multilabel(counts: np.ndarray) -> dict[str, float]:
    seen = counts[counts.any(axis=(1, 2))]
    f1 = _f1(seen)
    return {
        "macro_f1": _mean([np.nanmean(pair) for pair in f1]),
        "macro_f1_positive": _mean(np.nan_to_num(f1[:, 1])),
        "accuracy": _mean(np.trace(seen, axis1=1, axis2=2) / seen.sum(axis=(1, 2))),
    }


def _f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each label, (..., labels), from counts (..., labels, labels); NaN where it is neither true nor
    predicted.
    """
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), np.nan)


def _areas(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    pairs = _observed(labels, scores)
    both = [(true, score) for true, score in pairs if len(np.unique(true)) == 2]
    return {
        "roc_auc": _mean([roc_auc_score(true, score) for true, score in both]),
        "pr_auc": _mean([average_precision_score(true, score) for true, score in both]),
        "classes_skipped": float(len(pairs) - len(both)),
    }


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
