"""Changes of a confusion matrix in percent of the true class (Figs. 6 and 7 of Wu et al. 2021)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from workflow_scripts.core.validation import StrictModel
from workflow_scripts.statistics.class_metrics import row_percent
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


class EntryOptions(StrictModel):
    """Options of `confusion_change`."""

    entries: Annotated[tuple[tuple[str, str], ...], Field(min_length=1)]
    """entries of the matrix that are averaged, each true and predicted class"""


class PartOptions(StrictModel):
    """Options of `confusion_direction`."""

    part: Literal["diagonal", "off_diagonal"]
    """entries on the diagonal, or all others"""


def confusion_change(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the change, from `over` to `of`, of entries of the confusion matrix in percent of the true class.

    The mean over the entries and over the steps. Entries are those of the stored counts of each trial.
    """
    entries: tuple[tuple[str, str], ...] = selection.options.entries

    def compute(predictions: Predictions) -> np.ndarray | NoValue:
        classes = predictions.classes
        absent = {name for entry in entries for name in entry} - {*classes}
        if absent:
            return NoValue(reason=f"no class {', '.join(sorted(absent))}")
        rates = _rates(predictions)
        if isinstance(rates, NoValue):
            return rates
        values = np.stack([rates[:, classes.index(true), classes.index(given)] for true, given in entries], axis=1)
        if np.isnan(values).any():
            return NoValue(reason="no test clips of one of the classes")
        return values.mean(axis=1)

    pairs = pair_steps(selection, results, read_predictions_of(compute, results))
    return pairs if isinstance(pairs, NoValue) else pairs.differences(results, scale=1)


def confusion_direction(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the percent of the entries of a part of the confusion matrix that rise, minus the percent that fall.

    Counted in each pair of trials (or of pre-training seeds), after averaging over the steps. An entry that stays
    counts for neither.
    """
    pairs = pair_steps(selection, results, read_predictions_of(_rates, results))
    if isinstance(pairs, NoValue):
        return pairs
    changes = pairs.of - pairs.over  # (pairs, true, predicted)
    diagonal = np.eye(changes.shape[-1], dtype=bool)
    part = changes[:, diagonal if selection.options.part == "diagonal" else ~diagonal]
    signs = PERCENT * np.nanmean(np.sign(part), axis=1)
    return estimate_values(signs, POINTS, replicate=pairs.replicate, sides=pairs.sides, results=results)


def _rates(predictions: Predictions) -> np.ndarray | NoValue:
    """Return the matrix of each trial in percent of the true class (trials, true, predicted)."""
    if predictions.task != "multiclass":
        return NoValue(reason="clips can have several classes")
    return row_percent(predictions.confusion)


QUANTITIES = {
    "confusion_change": Quantity(
        kind="measured",
        compute=confusion_change,
        phrase="clips of a class that are classified as another ({entries}), percent by {of} minus percent by {over}",
        within=SETTINGS,
        compares=True,
        averages=True,
        options=EntryOptions,
    ),
    "confusion_direction": Quantity(
        kind="measured",
        compute=confusion_direction,
        phrase="entries of the confusion matrix ({part}) that rise from {over} to {of}, minus those that fall, percent",
        within=SETTINGS,
        compares=True,
        averages=True,
        options=PartOptions,
    ),
}
