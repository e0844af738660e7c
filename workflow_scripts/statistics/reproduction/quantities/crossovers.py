"""Numbers of labels from which on one method beats, or reaches, another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels.fractions import parse_fraction
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.estimation import ConfidenceInterval, find_crossover
from workflow_scripts.statistics.reproduction.context import PERCENT, THOUSAND, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import LEVELS, build_estimate, pair_steps
from workflow_scripts.statistics.reproduction.quantity import Quantity

WITHIN = ("dataset", "head", "protocol")  # fractions are what a crossover runs over


class LabelSavingOptions(StrictModel):
    """Options of `label_saving`."""

    tolerance: Annotated[float, Field(ge=0)]
    """points of the metric below what is to be reached that still count as reaching it"""


def crossing_size(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the thousands of training samples from which `of` beats `over`, over the fractions that both have.

    0 means better at every size measured, infinity not better at the largest. A crossover outside the sizes measured
    may be anywhere beyond them, so the interval that decides equivalence ends at the smallest or largest size.
    """
    return _crossover(selection, results, size=_thousands_of_clips, reference_fraction=lambda fraction: fraction)


def crossing_share(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the share of the labels in percent, as fractions name it, from which `of` beats `over`.

    0 and infinity mean the same as for `crossing`.
    """
    return _crossover(selection, results, size=_percent, reference_fraction=lambda fraction: fraction)


def label_saving(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the factor by which `of` needs fewer labels to reach the metric of `over` with all labels.

    The tolerance, in points, is subtracted from what is to be reached: "reaches" does not claim "is
    better". Infinity means that the smallest size measured is enough, 0 that the largest is not.
    """
    fractions = [cell.factors["fraction"] for cell in selection.over[0] if cell.key in results.train_clips]
    if not fractions:
        return NoValue(reason="not run")
    all_labels = max(fractions, key=parse_fraction)
    tolerance = selection.options.tolerance / PERCENT
    crossover = _crossover(
        selection, results, size=_percent, reference_fraction=lambda _: all_labels, tolerance=tolerance
    )
    if isinstance(crossover, NoValue):
        return crossover
    return _convert(crossover, lambda share: math.inf if share == 0 else crossover.sizes[1] / share)


def _convert(estimate: Estimate, convert: Callable[[float], float]) -> Estimate:
    """Return a crossover in another unit, which may reverse the order of the bounds."""
    bounds = [sorted((convert(ci.low), convert(ci.high))) for ci in (estimate.ci, estimate.ci90)]
    ci, ci90 = (ConfidenceInterval(low=low, high=high) for low, high in bounds)
    return replace(estimate, value=convert(estimate.value), ci=ci, ci90=ci90)


def _thousands_of_clips(cells: Sequence[PlannedCell], results: Results) -> float:
    """Return the thousands of training clips of the cells of one fraction."""
    return float(np.mean([results.train_clips[cell.key] for cell in cells]) / THOUSAND)


def _percent(cells: Sequence[PlannedCell], results: Results) -> float:  # noqa: ARG001 - a size, as clips are
    """Return the share of the labels in percent that the fraction of the cells names."""
    return PERCENT * parse_fraction(cells[0].factors["fraction"])


def _crossover(
    selection: Selection,
    results: Results,
    *,
    size: Callable[[Sequence[PlannedCell], Results], float],
    reference_fraction: Callable[[str], str],
    tolerance: float = 0.0,
) -> Estimate | NoValue:
    """Return the training size from which `of` reaches `over` minus `tolerance`.

    `of` at each fraction is compared with `over` at the fraction that `reference_fraction` gives for it.
    """
    sizes, differences, sides, names = [], [], [], set()
    # One row of paired differences for each training size.
    for fraction in dict.fromkeys(cell.factors["fraction"] for cell in selection.of[0]):
        of, over = (
            tuple(cell for cell in side if cell.factors["fraction"] == level)
            for side, level in ((selection.of[0], fraction), (selection.over[0], reference_fraction(fraction)))
        )
        pairs = pair_steps(replace(selection, of=(of,), over=(over,)), results)
        if isinstance(pairs, NoValue):
            return NoValue(reason=f"{fraction}: {pairs.reason}")
        sizes.append(size(of, results))
        differences.append(pairs.of - pairs.over + tolerance)
        sides += pairs.sides
        names.add((pairs.replicate, pairs.names))
    if len(names) > 1:
        return NoValue(reason="the training sizes were not measured with the same trials")
    # Interpolation needs ascending, distinct sizes.
    order = np.argsort(sizes)
    if len(set(sizes)) < max(2, len(sizes)):
        return NoValue(reason="fewer than two training sizes, or the same one twice")
    ascending, by_size = np.array(sizes)[order], np.array(differences)[order]
    smallest, largest = float(ascending[0]), float(ascending[-1])
    at_95, at_90 = (find_crossover(ascending, by_size, level=level) for level in LEVELS)
    # Without an interval both bounds stay not-a-number.
    low, high = float(np.minimum(at_90.ci.low, largest)), float(np.maximum(at_90.ci.high, smallest))
    estimate = build_estimate(
        at_95.size,
        (at_95.ci, ConfidenceInterval(low=low, high=high)),
        replicate=names.pop()[0],
        n=at_95.n,
        sides=sides,
        results=results,
    )
    return replace(estimate, sizes=(smallest, largest))


QUANTITIES = {
    "crossing": Quantity(
        kind="measured",
        compute=crossing_size,
        phrase="training samples from which on {of} has the higher {metric} than {over}",
        within=WITHIN,
        compares=True,
    ),
    "crossing_share": Quantity(
        kind="measured",
        compute=crossing_share,
        phrase="percent of all labels from which on {of} has the higher {metric} than {over}",
        within=WITHIN,
        compares=True,
    ),
    "label_saving": Quantity(
        kind="measured",
        compute=label_saving,
        phrase="factor by which {of} needs fewer labels to come within {tolerance} points of the {metric} of {over} "
        "with all labels",
        within=WITHIN,
        compares=True,
        options=LabelSavingOptions,
    ),
}
