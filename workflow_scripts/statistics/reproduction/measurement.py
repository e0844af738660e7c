"""Values of a method and paired values of two methods, behind every measured quantity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.core import result_files
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.estimation import (
    CONFIDENCE_LEVEL,
    EQUIVALENCE_LEVEL,
    ConfidenceInterval,
    ValueRange,
    mean_interval,
)
from workflow_scripts.statistics.predictions import Predictions, read_predictions
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.samples import (
    NotComparable,
    TrialSample,
    differing_factors,
    fewest_pretraining_seeds,
    match,
)

LEVELS = (CONFIDENCE_LEVEL, EQUIVALENCE_LEVEL)  # of the two intervals of an estimate
POINTS = ValueRange(largest=PERCENT, difference=True)  # differences of metrics in percent


#: reads the values (trials, ...) of a cell; `NoValue` where it has none
Reader = Callable[[PlannedCell, TrialSample], np.ndarray | NoValue]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Values of both sides (pairs, ...), averaged over the steps, and the cells they come from."""

    of: np.ndarray
    over: np.ndarray
    names: tuple[str, ...]
    replicate: str
    sides: list[list[TrialSample]]

    def differences(self, results: Results, *, scale: float = PERCENT, within: ValueRange = POINTS) -> Estimate:
        """Estimate the mean difference, for the fixed test set."""
        values = scale * (self.of - self.over)
        return estimate_values(values, within, replicate=self.replicate, sides=self.sides, results=results)


def read_metric(_: PlannedCell, sample: TrialSample) -> np.ndarray:
    """Return the metric of each trial."""
    return sample.values


def read_predictions_of(compute: Callable[[Predictions], np.ndarray | NoValue], results: Results) -> Reader:
    """Return the reader of what `compute` returns for the stored predictions of a cell."""

    def read(cell: PlannedCell, _: TrialSample) -> np.ndarray | NoValue:
        path = cell.path.with_name(result_files.PREDICTIONS)
        recorded = results.manifest.is_recorded(path)
        return compute(read_predictions(path)) if recorded else NoValue(reason="no predictions")

    return read


def pair_steps(selection: Selection, results: Results, read: Reader = read_metric) -> Pairs | NoValue:
    """Pair the replicates of both sides in every step; `NoValue` if one cannot be paired."""
    lefts, rights, sides, names, replicates = [], [], [], set(), set()
    for step in zip(selection.of, selection.over, strict=True):
        read_sides = [_read_side(side, selection, results, read) for side in step]
        for read_side in read_sides:
            if isinstance(read_side, NoValue):
                return read_side
        (left, left_values), (right, right_values) = (side for side in read_sides if not isinstance(side, NoValue))
        matching = match(left, right)
        if isinstance(matching, NotComparable):
            return NoValue(reason=matching.reason)
        values = matching.values(left_values, right_values)
        lefts.append(values[0])
        rights.append(values[1])
        sides += [left, right]
        names.add(matching.names)
        replicates.add(matching.replicate)
    if len(names) > 1:
        return NoValue(reason="what is averaged was not measured with the same trials")
    return Pairs(
        of=np.mean(lefts, axis=0),
        over=np.mean(rights, axis=0),
        names=names.pop(),
        replicate=replicates.pop(),
        sides=sides,
    )


def estimate_method(selection: Selection, results: Results, read: Reader) -> Estimate | NoValue:
    """Estimate the mean of what `read` returns for one method, over trials or pre-training seeds."""
    side = _read_side(selection.of[0], selection, results, read)
    if isinstance(side, NoValue):
        return side
    cells, values = side
    several = len(cells) > 1
    return estimate_values(
        np.array([of_seed.mean(axis=0) for of_seed in values]) if several else values[0],
        POINTS,
        replicate="pretraining seeds" if several else "trials",
        sides=[cells],
        results=results,
    )


def _read_side(
    planned_cells: Sequence[PlannedCell], selection: Selection, results: Results, read: Reader
) -> tuple[list[TrialSample], list[np.ndarray]] | NoValue:
    """Return the cells of one method and the values of each."""
    cells = cells_of_method(planned_cells, selection, results)
    if isinstance(cells, NoValue):
        return cells
    values = []
    for planned, cell in zip(planned_cells, cells, strict=True):
        of_cell = read(planned, cell)
        if isinstance(of_cell, NoValue):
            return of_cell
        values.append(of_cell)
    return cells, values


def cells_of_method(
    planned_cells: Sequence[PlannedCell], selection: Selection, results: Results
) -> list[TrialSample] | NoValue:
    """Return the cells of one method, one for each pre-training seed, or why one of them is missing."""
    if not planned_cells:
        return NoValue(reason="the study has no such cell")
    require_named(differing_factors(planned_cells), selection)
    reasons = [results.cells.reason_missing(cell, selection.metric) for cell in planned_cells]
    if any(reasons):
        return NoValue(reason="; ".join(dict.fromkeys(filter(None, reasons))))
    return [sample for cell in planned_cells if (sample := results.cells.get(cell, selection.metric)) is not None]


def require_named(differing: Sequence[str], selection: Selection) -> None:
    """Raise `UserError` for factors in which the cells of one side differ."""
    if differing:
        levels = ", ".join(differing)
        raise UserError(f"published {selection.statement.id}: `of` and `over` must name the level of {levels}")


def estimate_values(
    values: np.ndarray, within: ValueRange, *, replicate: str, sides: Sequence[Sequence[TrialSample]], results: Results
) -> Estimate:
    """Estimate the mean of plain values, for the fixed test set."""
    at_95, at_90 = (mean_interval(values, level=level, within=within) for level in LEVELS)
    return build_estimate(
        at_95.mean, (at_95.ci, at_90.ci), replicate=replicate, n=at_95.n, sides=sides, results=results
    )


def build_estimate(
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
