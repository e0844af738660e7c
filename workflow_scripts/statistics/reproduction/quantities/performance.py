"""Measured quantities: values with an interval over trials or pre-training seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import is_recorded, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.class_metrics import AREAS, metric_of_classes
from workflow_scripts.statistics.estimation import (
    CONFIDENCE_LEVEL,
    EQUIVALENCE_LEVEL,
    UNLIMITED,
    ConfidenceInterval,
    ValueRange,
    compare_methods,
    estimate_mean,
    find_crossover,
    mean_interval,
    relative_improvement,
)
from workflow_scripts.statistics.predictions import read_predictions
from workflow_scripts.statistics.reproduction.context import (
    PERCENT,
    THOUSAND,
    Estimate,
    NoValue,
    Results,
    Selection,
)
from workflow_scripts.statistics.samples import (
    NotComparable,
    TrialSample,
    differing_factors,
    fewest_pretraining_seeds,
    match,
)

LEVELS = (CONFIDENCE_LEVEL, EQUIVALENCE_LEVEL)  # of the two intervals of an estimate
POINTS = ValueRange(largest=PERCENT, difference=True)  # differences of metrics in percent
UNCHANGED = ("none", "crop")  # augmentations that leave the audio as recorded


def mean(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean of the metric in percent with the interval of the tables, for other test clips too."""
    cells = _cells(selection.of[0], selection.metric, results)
    if isinstance(cells, NoValue):
        return cells
    at_95, at_90 = (estimate_mean(cells, results.replicates, level=level) for level in LEVELS)
    return _estimate(
        PERCENT * at_95.mean,
        (at_95.ci.scale(PERCENT), at_90.ci.scale(PERCENT)),
        variance_sources=at_95.std_errors.variance_sources,
        replicate=at_95.replicate,
        n=at_95.n,
        sides=[cells],
        results=results,
    )


def difference(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean difference of the metric in points (percent minus percent), averaged over the steps.

    The interval of a single step is that of the tables; steps share their test clips, so the interval of several is for
    these test clips only.
    """
    pairs = _pair(selection, results)
    if isinstance(pairs, NoValue):
        return pairs
    if len(selection.of) == 1:
        left, right = pairs.sides
        at_95, at_90 = (compare_methods(left, right, results.replicates, level=level) for level in LEVELS)
        if isinstance(at_95, NotComparable) or isinstance(at_90, NotComparable):
            return NoValue(reason=at_95.reason)
        return _estimate(
            PERCENT * at_95.mean,
            (at_95.ci.scale(PERCENT), at_90.ci.scale(PERCENT)),
            variance_sources=at_95.std_errors.variance_sources,
            replicate=at_95.replicate,
            n=max(at_95.n),
            sides=pairs.sides,
            results=results,
        )
    values = PERCENT * (pairs.of - pairs.over)
    return _mean_of_values(values, POINTS, replicate=pairs.replicate, sides=pairs.sides, results=results)


def relative(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the relative improvement of the mean in percent over pairs; each side is first averaged over steps."""
    pairs = _pair(selection, results)
    if isinstance(pairs, NoValue):
        return pairs
    at_95, at_90 = (relative_improvement(pairs.of, pairs.over, level=level) for level in LEVELS)
    return _estimate(
        at_95.percent,
        (at_95.ci, at_90.ci),
        replicate=pairs.replicate,
        n=at_95.n,
        sides=pairs.sides,
        results=results,
    )


def crossing_size(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the thousands of training samples from which `of` beats `over`, over the fractions that both have.

    0 means better at every size measured, infinity not better at the largest. A crossover outside the sizes measured
    may be anywhere beyond them, so the interval that decides equivalence ends at the smallest or largest size.
    """
    return _crossover(selection, results, reference_fraction=lambda fraction: fraction)


def crossing_share(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the crossover size in percent of the largest training size measured."""
    crossover = crossing_size(selection, results)
    if isinstance(crossover, NoValue):
        return crossover
    return _convert(crossover, lambda size: PERCENT * size / crossover.sizes[1])


def label_saving(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the factor by which `of` needs fewer labels to reach the metric of `over` with all labels.

    The statement's tolerance, in points, is subtracted from what is to be reached: "reaches" does not claim "is
    better". Infinity means that the smallest size measured is enough, 0 that the largest is not.
    """
    by_size = {
        results.train_clips[cell.key]: cell.factors["fraction"]
        for cell in selection.over[0]
        if cell.key in results.train_clips
    }
    if not by_size:
        return NoValue(reason="not run")
    all_labels = by_size[max(by_size)]
    tolerance = selection.statement.tolerance or 0.0
    crossover = _crossover(selection, results, reference_fraction=lambda _: all_labels, tolerance=tolerance / PERCENT)
    if isinstance(crossover, NoValue):
        return crossover
    return _convert(crossover, lambda size: math.inf if size == 0 else crossover.sizes[1] / size)


def _convert(estimate: Estimate, convert: Callable[[float], float]) -> Estimate:
    """Return a crossover in another unit, which may reverse the order of the bounds."""
    bounds = [sorted((convert(ci.low), convert(ci.high))) for ci in (estimate.ci, estimate.ci90)]
    ci, ci90 = (ConfidenceInterval(low=low, high=high) for low, high in bounds)
    return replace(estimate, value=convert(estimate.value), ci=ci, ci90=ci90)


def _crossover(
    selection: Selection, results: Results, *, reference_fraction: Callable[[str], str], tolerance: float = 0.0
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
        pairs = _pair(replace(selection, of=(of,), over=(over,)), results)
        if isinstance(pairs, NoValue):
            return NoValue(reason=f"{fraction}: {pairs.reason}")
        sizes.append(np.mean([results.train_clips[cell.key] for cell in of]) / THOUSAND)
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
    estimate = _estimate(
        at_95.size,
        (at_95.ci, ConfidenceInterval(low=low, high=high)),
        replicate=names.pop()[0],
        n=at_95.n,
        sides=sides,
        results=results,
    )
    return replace(estimate, sizes=(smallest, largest))


def best_probability(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the probability of an augmentation with the highest metric, among the steps of `of`.

    The interval spans all probabilities that are not significantly worse than the best one: those whose mean paired
    difference from it has an interval that contains 0.
    """
    probabilities = [_probability(side, results) for side in selection.of]
    cells_by_step = [_cells(side, selection.metric, results) for side in selection.of]
    for outcome in (*probabilities, *cells_by_step):
        if isinstance(outcome, NoValue):
            return outcome
    if len(selection.of) < 2:
        return NoValue(reason="fewer than two probabilities")
    # The best step by its mean over all trials.
    means = [np.mean([cell.values.mean() for cell in cells]) for cells in cells_by_step if isinstance(cells, list)]
    best = int(np.argmax(means))
    # The best step paired with every step, itself included.
    pairs = [_pair(replace(selection, of=(selection.of[best],), over=(side,)), results) for side in selection.of]
    for pair in pairs:
        if isinstance(pair, NoValue):
            return pair
    contrasts = [pair for pair in pairs if isinstance(pair, _Pairs)]
    values = [probability for probability in probabilities if isinstance(probability, float)]
    not_worse = [_not_worse(values, contrasts, level=level) for level in LEVELS]
    ci95, ci90 = (ConfidenceInterval(low=min(ends), high=max(ends)) for ends in not_worse)
    return _estimate(
        values[best],
        (ci95, ci90),
        replicate=contrasts[0].replicate,
        n=min(len(contrast.of) for contrast in contrasts),
        sides=[side for contrast in contrasts for side in contrast.sides],
        results=results,
    )


def _not_worse(values: Sequence[float], contrasts: Sequence[_Pairs], *, level: float) -> list[float]:
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


def largest_class_gap(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the largest distance in points between `of` and `over` in the area of one class (`roc_auc` or `pr_auc`).

    The interval is that of this class; it does not account for the selection of the class. Areas are recomputed from
    the predictions of the trials.
    """
    sides = [_cells(side[0], selection.metric, results) for side in (selection.of, selection.over)]
    for side in sides:
        if isinstance(side, NoValue):
            return side
    of, over = (side for side in sides if isinstance(side, list))
    areas = [[_areas(cell, selection.metric) for cell in side[0]] for side in (selection.of, selection.over)]
    if any(cell is None for side in areas for cell in side):
        return NoValue(reason="no predictions, or no area of each class")
    matching = match(of, over)
    if isinstance(matching, NotComparable):
        return NoValue(reason=matching.reason)
    left, right = matching.values(*([cell for cell in side if cell is not None] for side in areas))
    gaps = PERCENT * (left - right)  # (pairs, classes)
    widest = gaps[:, np.nanargmax(np.abs(gaps.mean(axis=0)))]
    widest = widest * np.sign(widest.mean())
    return _mean_of_values(widest, POINTS, replicate=matching.replicate, sides=[of, over], results=results)


def _areas(cell: PlannedCell, metric: str) -> np.ndarray | None:
    """Return the area of each class in each trial (trials, classes), not-a-number for a class with one label."""
    path = cell.path.with_name(result_files.PREDICTIONS)
    if metric not in AREAS or not is_recorded(path):
        return None
    predictions = read_predictions(path)
    return metric_of_classes(metric, labels=predictions.labels, scores=predictions.scores)


def loss_ratio(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the orders of magnitude between the validation losses of the two `losses`, the first over the second.

    One value per pre-training seed: the mean over its epochs of the logarithm (base 10) of the ratio of the unweighted
    losses.
    """
    runs = results.runs(selection.planned_cells)
    workers = selection.statement.losses or ()
    values = [_log_ratio(run.folder / result_files.LOSSES, workers) for run in runs]
    if not runs or None in values:
        return NoValue(reason="no validation losses of " + " and ".join(workers))
    estimate = _mean_of_values(
        np.array(values, np.float64), UNLIMITED, replicate="pretraining seeds", sides=[], results=results
    )
    sources = results.corpus_sources(run.factors["corpus"] for run in runs)
    return replace(estimate, pretraining_seeds=len(runs), sources=tuple(sorted(sources)))


def _log_ratio(path: Path, workers: Sequence[str]) -> float | None:
    if not is_recorded(path):
        return None
    require_unchanged(path)
    losses = pd.read_csv(path)
    table = losses[losses["split"] == "valid"].pivot_table(index="epoch", columns="worker", values="loss")
    if not {*workers} <= {*table.columns}:
        return None
    return float(np.log10(table[workers[0]] / table[workers[1]]).mean())


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Values of both sides (pairs,), averaged over the steps, and the cells they come from."""

    of: np.ndarray
    over: np.ndarray
    names: tuple[str, ...]
    replicate: str
    sides: list[list[TrialSample]]


def _pair(selection: Selection, results: Results) -> _Pairs | NoValue:
    """Pair the replicates of both sides in every step; `NoValue` if one cannot be paired."""
    lefts, rights, sides, names, replicates = [], [], [], set(), set()
    for step in zip(selection.of, selection.over, strict=True):
        cells_of_sides = [_cells(side, selection.metric, results) for side in step]
        for cells in cells_of_sides:
            if isinstance(cells, NoValue):
                return cells
        left, right = (cells for cells in cells_of_sides if not isinstance(cells, NoValue))
        matching = match(left, right)
        if isinstance(matching, NotComparable):
            return NoValue(reason=matching.reason)
        values = matching.values([cell.values for cell in left], [cell.values for cell in right])
        lefts.append(values[0])
        rights.append(values[1])
        sides += [left, right]
        names.add(matching.names)
        replicates.add(matching.replicate)
    if len(names) > 1:
        return NoValue(reason="what is averaged was not measured with the same trials")
    return _Pairs(
        of=np.mean(lefts, axis=0),
        over=np.mean(rights, axis=0),
        names=names.pop(),
        replicate=replicates.pop(),
        sides=sides,
    )


def _cells(planned_cells: Sequence[PlannedCell], metric: str, results: Results) -> list[TrialSample] | NoValue:
    """Return the cells of one method, one for each pre-training seed, or why one of them is missing."""
    if not planned_cells:
        return NoValue(reason="the study has no such cell")
    differing = differing_factors(planned_cells)
    if differing:
        raise UserError(f"published: `of` and `over` must name the level of {', '.join(differing)}")
    reasons = [results.cells.reason_missing(cell, metric) for cell in planned_cells]
    if any(reasons):
        return NoValue(reason="; ".join(dict.fromkeys(filter(None, reasons))))
    return [sample for cell in planned_cells if (sample := results.cells.get(cell, metric)) is not None]


def _mean_of_values(
    values: np.ndarray, within: ValueRange, *, replicate: str, sides: Sequence[Sequence[TrialSample]], results: Results
) -> Estimate:
    """Estimate the mean of plain values, for the fixed test set."""
    at_95, at_90 = (mean_interval(values, level=level, within=within) for level in LEVELS)
    return _estimate(at_95.mean, (at_95.ci, at_90.ci), replicate=replicate, n=at_95.n, sides=sides, results=results)


def _estimate(
    value: float,
    intervals: tuple[ConfidenceInterval, ConfidenceInterval],
    *,
    variance_sources: tuple[str, ...] | None = None,
    replicate: str,
    n: int,
    sides: Sequence[Sequence[TrialSample]],
    results: Results,
) -> Estimate:
    """Return a value with its 95 % and 90 % intervals, which cover the replicates alone unless sources are given."""
    ci, ci90 = intervals
    if variance_sources is None:
        variance_sources = (replicate,) if ci.is_known else ()
    return Estimate(
        value=value,
        ci=ci,
        ci90=ci90,
        variance_sources=variance_sources,
        replicate=replicate,
        n=n,
        pretraining_seeds=fewest_pretraining_seeds(*sides),
        sources=results.sources(cell for side in sides for cell in side),
    )
