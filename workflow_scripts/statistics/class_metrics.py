"""Metrics of single classes, and rates of confusion matrices."""

from __future__ import annotations

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.metrics import AREAS, area, confusion, from_counts, select_observed

COUNTED = ("macro_f1", "macro_f1_positive", "accuracy")


def metric_of_classes(metric: str, *, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Compute the values of which `metrics` states the mean for multilabel data: (trials, classes), from 0 to 1.

    `labels` (clips, classes) are NaN where unobserved, `scores` (trials, clips, classes) are probabilities. NaN for a
    class that is unobserved and, in areas under curves, for one without clips of both labels: as in `metrics`, these
    are left out of the mean. `macro_f1` of a class is the mean of the F1 of label 1 and of label 0. `UserError` for a
    metric that is no mean over classes.
    """
    if metric in AREAS:
        return np.array([_areas(metric, labels, of_trial) for of_trial in scores])
    if metric not in COUNTED:
        raise UserError(f"{metric} is not measured class by class; allowed: {', '.join((*AREAS, *COUNTED))}")
    counts = np.stack([confusion("multilabel", labels=labels, scores=of_trial) for of_trial in scores])
    return from_counts("multilabel", counts[:, :, None])[metric]  # the mean over one class is its value


def row_percent(counts: np.ndarray) -> np.ndarray:
    """Return the percent of the clips of each true class that are given each class.

    `counts` are (..., true, predicted). A class without clips has no rates: its row is not-a-number.
    """
    clips = counts.sum(axis=-1, keepdims=True)
    return np.where(clips > 0, 100 * counts / np.maximum(clips, 1), np.nan)


def _areas(metric: str, labels: np.ndarray, scores: np.ndarray) -> list[float]:
    pairs = [select_observed(labels, scores, number)[1:] for number in range(labels.shape[1])]
    return [area(metric, true, score) if len(np.unique(true)) == 2 else np.nan for true, score in pairs]
