"""Quantities with an interval over trials or checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import Evaluation
from workflow_scripts.statistics.class_metrics import AREAS, metric_of_classes
from workflow_scripts.statistics.estimation import compare_methods, estimate_mean
from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    ConfidenceInterval,
    mean_interval,
)
from workflow_scripts.statistics.inference.crossover import find_crossover
from workflow_scripts.statistics.inference.equivalence import EQUIVALENCE_LEVEL
from workflow_scripts.statistics.inference.relative_improvement import relative_improvement
from workflow_scripts.statistics.reproduction.context import (
    PERCENT,
    THOUSAND,
    Estimate,
    Missing,
    Results,
    Selection,
    read_json,
)
from workflow_scripts.statistics.samples import (
    NotComparable,
    TrialSample,
    differing_factors,
    fewest_pretraining_seeds,
    match,
)

UNCHANGED = ("none", "crop")  # augmentations under which audio is heard as recorded


def mean(selection: Selection, results: Results) -> Estimate | Missing:
    """Return the mean of the metric in percent with the interval of the tables, for other test clips too."""
    cells = _cells(selection.of[0], selection.metric, results)
    if isinstance(cells, Missing):
        return cells
    wide, narrow = (
        estimate_mean(cells, results.replicates, level=level) for level in (CONFIDENCE_LEVEL, EQUIVALENCE_LEVEL)
    )
    return _in_percent(
        wide.mean, wide.ci, narrow.ci, replicate=wide.replicate, n=wide.n, sides=[cells], results=results
    )


def difference(selection: Selection, results: Results) -> Estimate | Missing:
    """Return the mean difference of the metric in points (percent minus percent), averaged over the steps.

    One step has the interval of the tables; several share their test clips, so theirs is for these test clips.
    """
    pairs = _paired(selection, results)
    if isinstance(pairs, Missing):
        return pairs
    if len(selection.of) == 1:
        left, right = pairs.sides
        wide, narrow = (
            compare_methods(left, right, results.replicates, level=level)
            for level in (CONFIDENCE_LEVEL, EQUIVALENCE_LEVEL)
        )
        if isinstance(wide, NotComparable) or isinstance(narrow, NotComparable):
            return Missing(reason=wide.reason)
        return _in_percent(
            wide.mean, wide.ci, narrow.ci, replicate=wide.replicate, n=max(wide.n), sides=pairs.sides, results=results
        )
    values = PERCENT * (pairs.of - pairs.over)
    return _of_sample(values, replicate=pairs.replicate, sides=pairs.sides, results=results)


def relative(selection: Selection, results: Results) -> Estimate | Missing:
    """Relative improvement of the mean metric in percent, over pairs; both sides averaged over the steps first."""
    pairs = _paired(selection, results)
    if isinstance(pairs, Missing):
        return pairs
    wide = relative_improvement(pairs.of, pairs.over)
    narrow = relative_improvement(pairs.of, pairs.over, level=EQUIVALENCE_LEVEL)
    return Estimate(
        value=wide.percent,
        low=wide.low,
        high=wide.high,
        narrow=(narrow.low, narrow.high),
        replicate=pairs.replicate,
        n=wide.n,
        checkpoints=fewest_pretraining_seeds(*pairs.sides),
        sources=results.sources(cell for side in pairs.sides for cell in side),
    )


def crossing_size(selection: Selection, results: Results) -> Estimate | Missing:
    """Thousands of training samples from which on `of` beats `over`, over the fractions that both have.

    0 says that it is better at every size measured, infinity that it is not at the largest. A crossing at sizes not
    measured may be anywhere there, and so far the interval that decides equivalence reaches.
    """
    return _crossed(selection, results, against=lambda fraction: fraction)


def crossing_share(selection: Selection, results: Results) -> Estimate | Missing:
    """The same in percent of the largest training size measured."""
    found = crossing_size(selection, results)
    return found if isinstance(found, Missing) else _converted(found, lambda size: PERCENT * size / found.sizes[1])


def label_saving(selection: Selection, results: Results) -> Estimate | Missing:
    """How many times fewer labels `of` needs to reach what `over` does with all of them, less the tolerance.

    The tolerance, in points, is what the statement declares as close enough: "reaches" is no claim of being better.
    Infinity says that the fewest measured are enough, 0 that all of them are not.
    """
    by_size = {
        results.train_clips[each.key]: each.factors["fraction"]
        for each in selection.over[0]
        if each.key in results.train_clips
    }
    if not by_size:
        return Missing(reason="not run")
    most = by_size[max(by_size)]
    tolerance = selection.statement.tolerance or 0.0
    found = _crossed(selection, results, against=lambda _: most, less=tolerance / PERCENT)
    if isinstance(found, Missing):
        return found
    return _converted(found, lambda size: math.inf if size == 0 else found.sizes[1] / size)


def _converted(estimate: Estimate, convert: Callable[[float], float]) -> Estimate:
    """A crossing in another unit, in which it may run the other way."""
    low, high = sorted((convert(estimate.low), convert(estimate.high)))
    narrow = sorted(map(convert, estimate.narrow))
    return replace(estimate, value=convert(estimate.value), low=low, high=high, narrow=(narrow[0], narrow[1]))


def _crossed(
    selection: Selection, results: Results, *, against: Callable[[str], str], less: float = 0.0
) -> Estimate | Missing:
    """Crossing of `of` at each fraction with `over`, minus `less`, at the fraction that `against` gives for it."""
    sizes, rows, sides, names = [], [], [], set()
    for fraction in dict.fromkeys(each.factors["fraction"] for each in selection.of[0]):
        of, over = (
            tuple(each for each in side if each.factors["fraction"] == level)
            for side, level in ((selection.of[0], fraction), (selection.over[0], against(fraction)))
        )
        pairs = _paired(replace(selection, of=(of,), over=(over,)), results)
        if isinstance(pairs, Missing):
            return Missing(reason=f"{fraction}: {pairs.reason}")
        sizes.append(np.mean([results.train_clips[each.key] for each in of]) / THOUSAND)
        rows.append(pairs.of - pairs.over + less)
        sides += pairs.sides
        names.add((pairs.replicate, pairs.names))
    if len(names) > 1:
        return Missing(reason="the training sizes were not measured with the same trials")
    order = np.argsort(sizes)
    if len(set(sizes)) < max(2, len(sizes)):
        return Missing(reason="fewer than two training sizes, or the same one twice")
    ascending, differences = np.array(sizes)[order], np.array(rows)[order]
    wide, narrow = (
        find_crossover(ascending, differences),
        find_crossover(ascending, differences, level=EQUIVALENCE_LEVEL),
    )
    return Estimate(
        value=wide.size,
        low=wide.low,
        high=wide.high,
        # of no interval both ends stay not-a-number
        narrow=(float(np.minimum(narrow.low, ascending[-1])), float(np.maximum(narrow.high, ascending[0]))),
        replicate=names.pop()[0],
        n=wide.n,
        checkpoints=fewest_pretraining_seeds(*sides),
        sources=results.sources(cell for side in sides for cell in side),
        sizes=(float(ascending[0]), float(ascending[-1])),
    )


def best_probability(selection: Selection, results: Results) -> Estimate | Missing:
    """Probability of an augmentation with which the metric is highest, among the steps of `of`.

    The interval reaches over all probabilities that are not surely worse than the best one: those for which the
    interval of their mean paired difference from it holds 0.
    """
    tried = [(side, _probability(side, results), _cells(side, selection.metric, results)) for side in selection.of]
    for each in (found for _, *both in tried for found in both):
        if isinstance(each, Missing):
            return each
    if len(tried) < 2:
        return Missing(reason="fewer than two probabilities")
    means = [np.mean([cell.values.mean() for cell in cells]) for _, _, cells in tried if isinstance(cells, list)]
    best = int(np.argmax(means))
    probabilities = [probability for _, probability, _ in tried if isinstance(probability, float)]
    pairs = [_paired(replace(selection, of=(tried[best][0],), over=(side,)), results) for side, _, _ in tried]
    behind = [each for each in pairs if isinstance(each, _Pairs)]
    for pair in pairs:
        if isinstance(pair, Missing):
            return pair
    wide, narrow = (_not_worse(probabilities, behind, level=level) for level in (CONFIDENCE_LEVEL, EQUIVALENCE_LEVEL))
    return Estimate(
        value=probabilities[best],
        low=min(wide),
        high=max(wide),
        narrow=(min(narrow), max(narrow)),
        replicate=behind[0].replicate,
        n=min(len(each.of) for each in behind),
        checkpoints=fewest_pretraining_seeds(*(side for each in behind for side in each.sides)),
        sources=results.sources(cell for each in behind for side in each.sides for cell in side),
    )


def _not_worse(values: Sequence[float], behind: Sequence[_Pairs], *, level: float) -> list[float]:
    """Those of `values` of which the best one, `of` in each of `behind`, is not surely ahead; itself among them."""
    ahead = (mean_interval(each.of - each.over, level=level).ci.low > 0 for each in behind)
    return [value for value, sure in zip(values, ahead, strict=True) if not sure]


def _probability(evaluations: Sequence[Evaluation], results: Results) -> float | Missing:
    """With what probability the runs of one step augment; 0 where they hear audio as recorded."""
    options = [
        read_json(run.folder / "record.json").get("config", {}).get("augmentation", {})
        for run in results.runs(evaluations)
    ]
    found = {0.0 if each["name"] in UNCHANGED else each["options"].get("probability") for each in options if each}
    stated = found.pop() if len(found) == 1 else None
    return Missing(reason="no record states one probability") if stated is None else float(stated)


def largest_class_gap(selection: Selection, results: Results) -> Estimate | Missing:
    """Largest distance in points between `of` and `over` in one class's area (the metric: `roc_auc` or `pr_auc`).

    The interval is that of the class in question, whose choice it does not account for. Recomputed from what the
    trials predicted.
    """
    sides = [_cells(side[0], selection.metric, results) for side in (selection.of, selection.over)]
    for side in sides:
        if isinstance(side, Missing):
            return side
    of, over = (side for side in sides if isinstance(side, list))
    areas = [[_areas(each, selection.metric) for each in side[0]] for side in (selection.of, selection.over)]
    if any(each is None for side in areas for each in side):
        return Missing(reason="no predictions, or no area of each class")
    matching = match(of, over)
    if isinstance(matching, NotComparable):
        return Missing(reason=matching.reason)
    left, right = matching.values(*([each for each in side if each is not None] for side in areas))
    gaps = PERCENT * (left - right)
    widest = gaps[:, np.nanargmax(np.abs(gaps.mean(axis=0)))]
    return _of_sample(widest * np.sign(widest.mean()), replicate=matching.replicate, sides=[of, over], results=results)


def _areas(evaluation: Evaluation, metric: str) -> np.ndarray | None:
    """Area of each class in each trial, (trials, classes), not-a-number for a class with one label."""
    path = evaluation.path.with_name("predictions.npz")
    if metric not in AREAS or not path.is_file():
        return None
    with np.load(path) as stored:
        return metric_of_classes(metric, labels=stored["labels"], scores=stored["scores"])


def loss_ratio(selection: Selection, results: Results) -> Estimate | Missing:
    """Orders of magnitude between the validation losses of the two workers in `losses`, the first over the second.

    One value per checkpoint: the mean over its epochs of the logarithm (base 10) of the ratio of the unweighted losses.
    """
    runs = results.runs(selection.chosen)
    values = [_log_ratio(run.folder / "losses.csv", selection.statement.losses) for run in runs]
    if not runs or None in values:
        return Missing(reason="no validation losses of " + " and ".join(selection.statement.losses))
    sample = np.array(values, np.float64)
    estimate = _interval(sample, replicate="pretraining seeds")
    sources = results.corpus_sources(run.factors["corpus"] for run in runs)
    return replace(estimate, checkpoints=len(runs), sources=tuple(sorted(sources)))


def _log_ratio(path: Path, workers: Sequence[str]) -> float | None:
    if not path.is_file():
        return None
    losses = pd.read_csv(path)
    table = losses[losses["split"] == "valid"].pivot_table(index="epoch", columns="worker", values="loss")
    if not {*workers} <= {*table.columns}:
        return None
    return float(np.log10(table[workers[0]] / table[workers[1]]).mean())


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Values of either side (pairs,), averaged over the steps, and the cells they come from."""

    of: np.ndarray
    over: np.ndarray
    names: tuple[str, ...]
    replicate: str
    sides: list[list[TrialSample]]


def _paired(selection: Selection, results: Results) -> _Pairs | Missing:
    lefts, rights, sides, names, replicates = [], [], [], set(), set()
    for step in zip(selection.of, selection.over, strict=True):
        found = [_cells(side, selection.metric, results) for side in step]
        for cells in found:
            if isinstance(cells, Missing):
                return cells
        left, right = (cells for cells in found if not isinstance(cells, Missing))
        matching = match(left, right)
        if isinstance(matching, NotComparable):
            return Missing(reason=matching.reason)
        values = matching.values([cell.values for cell in left], [cell.values for cell in right])
        lefts.append(values[0])
        rights.append(values[1])
        sides += [left, right]
        names.add(matching.names)
        replicates.add(matching.replicate)
    if len(names) > 1:
        return Missing(reason="what is averaged was not measured with the same trials")
    return _Pairs(
        of=np.mean(lefts, axis=0),
        over=np.mean(rights, axis=0),
        names=names.pop(),
        replicate=replicates.pop(),
        sides=sides,
    )


def _cells(evaluations: Sequence[Evaluation], metric: str, results: Results) -> list[TrialSample] | Missing:
    """The measured cells of one method's checkpoints, or why one of them is missing."""
    if not evaluations:
        return Missing(reason="the study has no such cell")
    differing = differing_factors(evaluations)
    if differing:
        raise UserError(f"published: `of` and `over` do not tell apart cells that differ in {', '.join(differing)}")
    reasons = [results.cells.reason_missing(each, metric) for each in evaluations]
    if any(reasons):
        return Missing(reason="; ".join(dict.fromkeys(filter(None, reasons))))
    return [cell for each in evaluations if (cell := results.cells.get(each, metric)) is not None]


def _of_sample(
    values: np.ndarray, *, replicate: str, sides: Sequence[Sequence[TrialSample]], results: Results
) -> Estimate:
    return replace(
        _interval(values, replicate=replicate),
        checkpoints=fewest_pretraining_seeds(*sides),
        sources=results.sources(cell for side in sides for cell in side),
    )


def _in_percent(
    mean: float,
    wide: ConfidenceInterval,
    narrow: ConfidenceInterval,
    *,
    replicate: str,
    n: int,
    sides: Sequence[Sequence[TrialSample]],
    results: Results,
) -> Estimate:
    return Estimate(
        value=PERCENT * mean,
        low=PERCENT * wide.low,
        high=PERCENT * wide.high,
        narrow=(PERCENT * narrow.low, PERCENT * narrow.high),
        replicate=replicate,
        n=n,
        checkpoints=fewest_pretraining_seeds(*sides),
        sources=results.sources(cell for side in sides for cell in side),
    )


def _interval(values: np.ndarray, *, replicate: str) -> Estimate:
    wide, narrow = mean_interval(values), mean_interval(values, level=EQUIVALENCE_LEVEL)
    return Estimate(
        value=wide.mean,
        low=wide.ci.low,
        high=wide.ci.high,
        narrow=(narrow.ci.low, narrow.ci.high),
        replicate=replicate,
        n=wide.n,
        checkpoints=0,
        sources=(),
    )
