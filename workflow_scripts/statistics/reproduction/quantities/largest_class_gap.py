"""The class in which two methods differ most."""

from __future__ import annotations

import numpy as np

from workflow_scripts.core import result_files
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.class_metrics import AREAS, metric_of_classes
from workflow_scripts.statistics.predictions import read_predictions
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import POINTS, cells_of_method, estimate_values
from workflow_scripts.statistics.reproduction.quantity import SETTINGS, Quantity
from workflow_scripts.statistics.samples import NotComparable, match


def largest_class_gap(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the largest distance in points between `of` and `over` in the area of one class (`roc_auc` or `pr_auc`).

    The interval is that of this class; it does not account for the selection of the class. Areas are recomputed from
    the predictions of the trials.
    """
    sides = [cells_of_method(side[0], selection.metric, results) for side in (selection.of, selection.over)]
    for side in sides:
        if isinstance(side, NoValue):
            return side
    of, over = (side for side in sides if isinstance(side, list))
    areas = [[_areas(cell, selection.metric, results) for cell in side[0]] for side in (selection.of, selection.over)]
    if any(cell is None for side in areas for cell in side):
        return NoValue(reason="no predictions, or no area of each class")
    matching = match(of, over)
    if isinstance(matching, NotComparable):
        return NoValue(reason=matching.reason)
    left, right = matching.values(*([cell for cell in side if cell is not None] for side in areas))
    gaps = PERCENT * (left - right)  # (pairs, classes)
    widest = gaps[:, np.nanargmax(np.abs(gaps.mean(axis=0)))]
    widest = widest * np.sign(widest.mean())
    return estimate_values(widest, POINTS, replicate=matching.replicate, sides=[of, over], results=results)


def _areas(cell: PlannedCell, metric: str, results: Results) -> np.ndarray | None:
    """Return the area of each class in each trial (trials, classes), not-a-number for a class with one label."""
    path = cell.path.with_name(result_files.PREDICTIONS)
    if metric not in AREAS or not results.manifest.is_recorded(path):
        return None
    predictions = read_predictions(path)
    return metric_of_classes(metric, labels=predictions.labels, scores=predictions.scores)


QUANTITIES = {
    "largest_class_gap": Quantity(
        kind="measured",
        compute=largest_class_gap,
        phrase="{metric} of {of} minus that of {over} in the class with the largest gap, points",
        within=SETTINGS,
        compares=True,
    ),
}
