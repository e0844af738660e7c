"""Performance on a set of classes, such as all tags of singing (Garoufis et al. 2024, Spijkervet 2021, Sec. 6.2)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from workflow_scripts.core.validation import StrictModel
from workflow_scripts.statistics.class_metrics import AREAS, COUNTED, metric_of_classes
from workflow_scripts.statistics.contrasts import SETTINGS
from workflow_scripts.statistics.predictions import Predictions
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import (
    Reader,
    estimate_method,
    pair_steps,
    read_predictions_of,
)
from workflow_scripts.statistics.reproduction.quantity import Quantity


class ClassOptions(StrictModel):
    """Options of quantities of a set of classes."""

    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    """classes of the set"""


def class_set_lead(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean metric of a set of classes minus that of all other classes, in points."""
    return estimate_method(selection, results, _read(selection, results, others=True, scale=PERCENT))


def class_set_difference(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean metric of a set of classes in `of` minus that in `over`, in points, averaged over the steps."""
    pairs = pair_steps(selection, results, _read(selection, results, others=False))
    return pairs if isinstance(pairs, NoValue) else pairs.differences(results)


def class_set_shift(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return by how many points more `of` exceeds `over` on a set of classes than on the others."""
    pairs = pair_steps(selection, results, _read(selection, results, others=True))
    return pairs if isinstance(pairs, NoValue) else pairs.differences(results)


def _read(selection: Selection, results: Results, *, others: bool, scale: float = 1) -> Reader:
    """Return the reader of the mean over the classes of the set, minus that over the `others` if so (trials,)."""

    def compute(predictions: Predictions) -> np.ndarray | NoValue:
        absent = [name for name in selection.options.classes if name not in predictions.classes]
        if absent:
            return NoValue(reason=f"no class {', '.join(absent)}")
        if predictions.task != "multilabel" or selection.metric not in (*AREAS, *COUNTED):
            return NoValue(reason=f"no {selection.metric} of each class")
        values = metric_of_classes(selection.metric, labels=predictions.labels, scores=predictions.scores)
        inside = np.isin(predictions.classes, selection.options.classes)
        defined = np.isfinite(values).all(axis=0)  # an area needs clips with the class and clips without it
        if not (inside & defined).any() or (others and not (~inside & defined).any()):
            return NoValue(reason=f"{selection.metric} of these classes is undefined on the test clips")
        means = values[:, inside & defined].mean(axis=1)
        return scale * (means - values[:, ~inside & defined].mean(axis=1) if others else means)

    return read_predictions_of(compute, results)


QUANTITIES = {
    "class_set_lead": Quantity(
        kind="measured",
        compute=class_set_lead,
        phrase="{metric} of {of} on {classes} minus that on all other classes, points",
        within=SETTINGS,
        options=ClassOptions,
    ),
    "class_set_difference": Quantity(
        kind="measured",
        compute=class_set_difference,
        phrase="{metric} of {of} minus that of {over} on {classes}, points",
        within=SETTINGS,
        compares=True,
        averages=True,
        options=ClassOptions,
    ),
    "class_set_shift": Quantity(
        kind="measured",
        compute=class_set_shift,
        phrase="{metric} of {of} minus that of {over}, on {classes} minus on all other classes, points",
        within=SETTINGS,
        compares=True,
        averages=True,
        options=ClassOptions,
    ),
}
