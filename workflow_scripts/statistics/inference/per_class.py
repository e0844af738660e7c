"""A metric of each class by itself: the values whose mean over the classes `metrics` states for multilabel data."""

from __future__ import annotations

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.metrics import AREAS, area, confusion, from_counts, observed

COUNTED = ("macro_f1", "macro_f1_positive", "accuracy")


def per_class(metric: str, *, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Value of `metric` for each class, (trials, classes), from 0 to 1.

    `labels` (clips, classes) are NaN where nobody looked, `scores` (trials, clips, classes) are probabilities. NaN for
    a class that nobody looked at and, in areas under curves, for one without clips of both labels: as in `metrics`,
    these are left out of the mean. `macro_f1` of a class is the mean of the F1 of label 1 and of label 0. `UserError`
    for a metric that is no mean over classes.
    """
    if metric in AREAS:
        return np.array([_areas(metric, labels, of_trial) for of_trial in scores])
    if metric not in COUNTED:
        raise UserError(f"{metric} is not measured class by class; allowed: {', '.join((*AREAS, *COUNTED))}")
    counts = np.stack([confusion("multilabel", labels=labels, scores=of_trial) for of_trial in scores])
    return from_counts("multilabel", counts[:, :, None])[metric]  # the mean over one class is its value


def _areas(metric: str, labels: np.ndarray, scores: np.ndarray) -> list[float]:
    pairs = [observed(labels, scores, number)[1:] for number in range(labels.shape[1])]
    return [area(metric, true, score) if len(np.unique(true)) == 2 else np.nan for true, score in pairs]
