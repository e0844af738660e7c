"""Confidence of a method that clips have a tag (Garoufis et al. 2024, qualitative analysis)."""

from __future__ import annotations

import numpy as np

from workflow_scripts.core.validation import StrictModel
from workflow_scripts.statistics.contrasts import SETTINGS
from workflow_scripts.statistics.predictions import Predictions
from workflow_scripts.statistics.reproduction.context import Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import pair_steps, read_predictions_of
from workflow_scripts.statistics.reproduction.quantity import Quantity


class TagOptions(StrictModel):
    """Options of `tag_probability`."""

    tag: str
    """tag whose probability is averaged"""
    clips_with: tuple[str, ...] = ()
    """only test clips that have one of these tags"""
    clips_without: tuple[str, ...] = ()
    """only test clips that have none of these tags"""


def tag_probability(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean probability of a tag on certain test clips, `of` minus `over`, in points."""
    options: TagOptions = selection.options

    def compute(predictions: Predictions) -> np.ndarray | NoValue:
        absent = {options.tag, *options.clips_with, *options.clips_without} - {*predictions.classes}
        if absent:
            return NoValue(reason=f"no class {', '.join(sorted(absent))}")
        columns = [
            predictions.labels[:, np.isin(predictions.classes, names)]
            for names in (options.clips_with, options.clips_without)
        ]
        selected = (columns[1] == 0).all(axis=1)
        if options.clips_with:
            selected &= (columns[0] == 1).any(axis=1)
        if not selected.any():
            return NoValue(reason="no such test clips")
        return predictions.scores[:, selected, predictions.classes.index(options.tag)].mean(axis=1, dtype=np.float64)

    pairs = pair_steps(selection, results, read_predictions_of(compute, results))
    return pairs if isinstance(pairs, NoValue) else pairs.differences(results)


QUANTITIES = {
    "tag_probability": Quantity(
        kind="measured",
        compute=tag_probability,
        phrase="probability of {tag} by {of} minus that by {over}, points; test clips with any of: {clips_with}; "
        "without: {clips_without}",
        within=SETTINGS,
        compares=True,
        averages=True,
        options=TagOptions,
    ),
}
