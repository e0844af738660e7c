"""The class in which two methods differ most."""

from __future__ import annotations

import numpy as np

from workflow_scripts.statistics.class_metrics import AREAS, metric_of_classes
from workflow_scripts.statistics.contrasts import SETTINGS
from workflow_scripts.statistics.predictions import Predictions
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import (
    POINTS,
    estimate_values,
    pair_steps,
    read_predictions_of,
)
from workflow_scripts.statistics.reproduction.quantity import Quantity


def largest_class_gap(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the largest distance in points between `of` and `over` in the area of one class (`roc_auc` or `pr_auc`).

    The interval is that of this class; it does not account for the selection of the class. Areas are recomputed from
    the predictions of the trials.
    """
    if selection.metric not in AREAS:
        return NoValue(reason=f"{selection.metric} is no area of each class")

    def areas(predictions: Predictions) -> np.ndarray:
        return metric_of_classes(selection.metric, labels=predictions.labels, scores=predictions.scores)

    pairs = pair_steps(selection, results, read_predictions_of(areas, results))
    if isinstance(pairs, NoValue):
        return pairs
    gaps = PERCENT * (pairs.of - pairs.over)  # (pairs, classes)
    widest = gaps[:, np.nanargmax(np.abs(gaps.mean(axis=0)))]
    widest = widest * np.sign(widest.mean())
    return estimate_values(widest, POINTS, replicate=pairs.replicate, sides=pairs.sides, results=results)


QUANTITIES = {
    "largest_class_gap": Quantity(
        kind="measured",
        compute=largest_class_gap,
        phrase="{metric} of {of} minus that of {over} in the class with the largest gap, points",
        within=SETTINGS,
        compares=True,
    ),
}
