"""The best probability of an augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workflow_scripts.core import result_files
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.contrasts import SETTINGS
from workflow_scripts.statistics.estimation import ConfidenceInterval, mean_interval
from workflow_scripts.statistics.reproduction.context import Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import (
    LEVELS,
    Pairs,
    build_estimate,
    cells_of_method,
    pair_steps,
)
from workflow_scripts.statistics.reproduction.quantity import Quantity

UNCHANGED = ("none", "crop")  # augmentations that leave the audio as recorded


def best_probability(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the probability of an augmentation with the highest metric, among the steps of `of`.

    The interval spans all probabilities that are not significantly worse than the best one: those whose mean paired
    difference from it has an interval that contains 0.
    """
    probabilities = [_probability(side, results) for side in selection.of]
    cells_by_step = [cells_of_method(side, selection, results) for side in selection.of]
    for outcome in (*probabilities, *cells_by_step):
        if isinstance(outcome, NoValue):
            return outcome
    if len(selection.of) < 2:
        return NoValue(reason="fewer than two probabilities")
    # The best step by its mean over all trials.
    means = [np.mean([cell.values.mean() for cell in cells]) for cells in cells_by_step if isinstance(cells, list)]
    best = int(np.argmax(means))
    # The best step paired with every step, itself included.
    pairs = [pair_steps(replace(selection, of=(selection.of[best],), over=(side,)), results) for side in selection.of]
    for pair in pairs:
        if isinstance(pair, NoValue):
            return pair
    contrasts = [pair for pair in pairs if isinstance(pair, Pairs)]
    values = [probability for probability in probabilities if isinstance(probability, float)]
    not_worse = [_not_worse(values, contrasts, level=level) for level in LEVELS]
    ci95, ci90 = (ConfidenceInterval(low=min(ends), high=max(ends)) for ends in not_worse)
    return build_estimate(
        values[best],
        (ci95, ci90),
        replicate=contrasts[0].replicate,
        n=min(len(contrast.of) for contrast in contrasts),
        sides=[side for contrast in contrasts for side in contrast.sides],
        results=results,
    )


def _not_worse(values: Sequence[float], contrasts: Sequence[Pairs], *, level: float) -> list[float]:
    """Return the `values` than which the best one is not significantly better, itself included.

    The best one is `of` in each of `contrasts`, which are in the order of `values`.
    """
    significant = (mean_interval(contrast.of - contrast.over, level=level).ci.low > 0 for contrast in contrasts)
    return [value for value, worse in zip(values, significant, strict=True) if not worse]


def _probability(planned_cells: Sequence[PlannedCell], results: Results) -> float | NoValue:
    """Return the probability with which the runs of one step augment; 0 if they leave the audio as recorded."""
    options = [
        results.record(run.folder / result_files.RECORD).get("config", {}).get("augmentation", {})
        for run in results.runs(planned_cells)
    ]
    probabilities = {
        0.0 if chosen["name"] in UNCHANGED else chosen["options"].get("probability") for chosen in options if chosen
    }
    probability = probabilities.pop() if len(probabilities) == 1 else None
    return NoValue(reason="no record states one probability") if probability is None else float(probability)


QUANTITIES = {
    "best_probability": Quantity(
        kind="measured",
        compute=best_probability,
        phrase="probability with the highest {metric}, and those that are not significantly worse",
        within=SETTINGS,
        averages=True,
    ),
}
