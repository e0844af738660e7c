"""Means of a metric and differences between them."""

from __future__ import annotations

from dataclasses import replace

from workflow_scripts.statistics.contrasts import SETTINGS
from workflow_scripts.statistics.estimation import compare_methods, estimate_mean, relative_improvement
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import (
    LEVELS,
    build_estimate,
    cells_of_method,
    pair_steps,
)
from workflow_scripts.statistics.reproduction.quantity import Quantity
from workflow_scripts.statistics.samples import NotComparable


def mean(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean of the metric in percent with the interval of the tables, for other test clips too."""
    cells = cells_of_method(selection.of[0], selection, results)
    if isinstance(cells, NoValue):
        return cells
    at_95, at_90 = (estimate_mean(cells, results.replicates, level=level) for level in LEVELS)
    estimate = build_estimate(
        PERCENT * at_95.mean,
        (at_95.ci.scale(PERCENT), at_90.ci.scale(PERCENT)),
        variance_sources=at_95.std_errors.variance_sources,
        replicate=at_95.replicate,
        n=at_95.n,
        sides=[cells],
        results=results,
    )
    return replace(estimate, std=PERCENT * at_95.std)


def difference(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean difference of the metric in points (percent minus percent), averaged over the steps.

    The interval of a single step is that of the tables; steps share their test clips, so the interval of several is for
    these test clips only.
    """
    pairs = pair_steps(selection, results)
    if isinstance(pairs, NoValue):
        return pairs
    if len(selection.of) == 1:
        left, right = pairs.sides
        at_95, at_90 = (compare_methods(left, right, results.replicates, level=level) for level in LEVELS)
        if isinstance(at_95, NotComparable) or isinstance(at_90, NotComparable):
            return NoValue(reason=at_95.reason)
        return build_estimate(
            PERCENT * at_95.mean,
            (at_95.ci.scale(PERCENT), at_90.ci.scale(PERCENT)),
            variance_sources=at_95.std_errors.variance_sources,
            replicate=at_95.replicate,
            n=max(at_95.n),
            sides=pairs.sides,
            results=results,
        )
    return pairs.differences(results)


def relative(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the relative improvement of the mean in percent over pairs; each side is first averaged over steps."""
    pairs = pair_steps(selection, results)
    if isinstance(pairs, NoValue):
        return pairs
    at_95, at_90 = (relative_improvement(pairs.of, pairs.over, level=level) for level in LEVELS)
    return build_estimate(
        at_95.percent,
        (at_95.ci, at_90.ci),
        replicate=pairs.replicate,
        n=at_95.n,
        sides=pairs.sides,
        results=results,
    )


QUANTITIES = {
    "mean": Quantity(kind="measured", compute=mean, phrase="{metric} of {of}", within=SETTINGS),
    "difference": Quantity(
        kind="measured",
        compute=difference,
        phrase="{metric} of {of} minus that of {over}, points",
        within=SETTINGS,
        compares=True,
        averages=True,
    ),
    "relative": Quantity(
        kind="measured",
        compute=relative,
        phrase="{metric} of {of} relative to {over}",
        within=SETTINGS,
        compares=True,
        averages=True,
    ),
}
