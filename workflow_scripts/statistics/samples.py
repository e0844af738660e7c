"""Cells as samples: the trials of one metric in one cell, and what two sets of cells may be asked together.

Several cells that differ only in the pre-training seed are checkpoints of one method. Trials of one checkpoint are not
independent evidence about a method, so with several checkpoints the unit that is counted is the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from workflow_scripts.levels.factors import FACTORS, NONE
from workflow_scripts.planning.manifest import Evaluation
from workflow_scripts.statistics import guards
from workflow_scripts.statistics.failure_reasons import why_missing
from workflow_scripts.statistics.inference.confidence_intervals import Interval, mean_interval

Replicate = Literal["trials", "checkpoints"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one metric in one cell, by ascending trial."""

    key: tuple[str, ...]
    metric: str
    trials: np.ndarray
    seeds: np.ndarray
    values: np.ndarray
    test_clips: int
    quarantined: int
    source: str
    data: str

    @property
    def pretrained(self) -> bool:
        """Whether the cell's run was pre-trained."""
        return self.key[FACTORS.index("corpus")] != NONE

    @property
    def encoder(self) -> str:
        """Encoder of the cell's run."""
        return self.key[FACTORS.index("encoder")]

    @property
    def pretrain_seed(self) -> str:
        """Seed of the run: checkpoints differ in it."""
        return self.key[FACTORS.index("pretrain_seed")]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Why two sets of cells cannot be compared in pairs; `unpaired` says that they can be as separate samples."""

    reason: str
    unpaired: bool = False


class Cells:
    """Look-up of the measured cells."""

    def __init__(self, trials: pd.DataFrame) -> None:
        """Index `trials`, the tidy table as `trials.gather` sorts it."""
        self._cells = {(cell.key, cell.metric): cell for cell in _cells(trials)}
        self._metrics: dict[tuple[str, ...], list[str]] = {}
        for key, metric in self._cells:
            self._metrics.setdefault(key, []).append(metric)

    def metrics(self, evaluation: Evaluation) -> list[str]:
        """Metrics a cell was measured with, sorted; empty if it was not run."""
        return sorted(self._metrics.get(evaluation.key, []))

    def get(self, evaluation: Evaluation, metric: str) -> Cell | None:
        """The cell's trials, or None where there are none."""
        return self._cells.get((evaluation.key, metric))

    def reason_missing(self, evaluation: Evaluation, metric: str) -> str:
        """Why `get` gives no usable trials; empty when it does."""
        cell = self.get(evaluation, metric)
        if cell is None:
            return f"{metric} not measured" if self.metrics(evaluation) else why_missing(evaluation)
        undefined = int((~np.isfinite(cell.values)).sum())
        return f"{metric} undefined in {undefined} of {len(cell.values)} trials" if undefined else ""


def _cells(trials: pd.DataFrame) -> Iterator[Cell]:
    """Every cell and metric; columns are taken apart once, since thousands of small tables would take minutes."""
    names = ("metric", "trial", "seed", "value", "test_clips", "quarantined", "source", "data")
    columns = {name: trials[name].to_numpy() for name in names}
    keys = list(zip(*(trials[factor].astype(str).tolist() for factor in FACTORS), strict=True))
    for rows in trials.groupby([*FACTORS, "metric"], sort=False).indices.values():
        first = rows[0]
        yield Cell(
            key=keys[first],
            metric=str(columns["metric"][first]),
            trials=columns["trial"][rows],
            seeds=columns["seed"][rows],
            values=columns["value"][rows],
            test_clips=int(columns["test_clips"][first]),
            quarantined=int(columns["quarantined"][first]),
            source=str(columns["source"][first]),
            data=str(columns["data"][first]),
        )


def summarise(cells: Sequence[Cell]) -> tuple[Replicate, Interval]:
    """Mean and interval over the trials of one checkpoint, or over the means of several; `cells` is not empty."""
    if len(cells) == 1:
        return "trials", mean_interval(cells[0].values)
    return "checkpoints", mean_interval([cell.values.mean() for cell in cells])


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One cell of each side, by its number there, and the places of the trials both have, in the same order."""

    left: int
    right: int
    left_rows: np.ndarray
    right_rows: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Matching:
    """What of two methods are pairs; `names` tells the replicates, and equal names are the same replicate."""

    replicate: Replicate
    names: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def values(self, left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return what was measured in the cells of either side, (trials, ...) each, as pairs (replicates, ...).

        One pair of cells: its common trials. Several: the means over the trials of each pair of cells.
        """
        matched = [(left[pair.left][pair.left_rows], right[pair.right][pair.right_rows]) for pair in self.pairs]
        if self.replicate == "trials":
            return matched[0]
        return np.stack([one.mean(axis=0) for one, _ in matched]), np.stack([two.mean(axis=0) for _, two in matched])


def objection(cells: Sequence[Cell]) -> str:
    """Why these cells must not stand in one comparison, whatever its kind; empty if they may."""
    for other in cells[1:]:
        found = (
            guards.other_source(cells[0].source, other.source)
            or guards.other_quarantine(cells[0].quarantined, other.quarantined)
            or guards.other_data(cells[0].data, other.data)
        )
        if found:
            return found.reason
    return ""


def fewest_checkpoints(*sides: Sequence[Cell]) -> int:
    """Checkpoints of the pre-trained side that has fewest, on which a statement about all sides rests; 0 without."""
    counts = (sum(cell.pretrained for cell in side) for side in sides)
    return min(filter(None, counts), default=0)


def match(better: Sequence[Cell], than: Sequence[Cell]) -> Matching | Refused:
    """Find the pairs of two methods, each given by the cells of its checkpoints (neither is empty).

    One checkpoint on each side: paired by trial. Several: the mean difference of each pair of checkpoints is one value;
    a single cell is paired with all of them, two sets are paired by pre-training seed.
    """
    numbers = _pairs(better, than)
    if isinstance(numbers, Refused):
        return numbers
    pairs: list[Pair] = []
    for left, right in numbers:
        rows = _common(better[left], than[right])
        if isinstance(rows, Refused):
            return rows
        pairs.append(Pair(left=left, right=right, left_rows=rows[0], right_rows=rows[1]))
    if len(pairs) == 1:
        names = tuple(str(trial) for trial in better[0].trials[pairs[0].left_rows])
        return Matching(replicate="trials", names=names, pairs=tuple(pairs))
    names = tuple(f"{better[pair.left].pretrain_seed} and {than[pair.right].pretrain_seed}" for pair in pairs)
    return Matching(replicate="checkpoints", names=names, pairs=tuple(pairs))


def _pairs(better: Sequence[Cell], than: Sequence[Cell]) -> list[tuple[int, int]] | Refused:
    if len(better) == 1 or len(than) == 1:
        return [(left, right) for left in range(len(better)) for right in range(len(than))]
    right_of = {cell.pretrain_seed: number for number, cell in enumerate(than)}
    if len(better) != len(than) or {cell.pretrain_seed for cell in better} != set(right_of):
        reason = f"{len(better)} and {len(than)} checkpoints that do not share their pre-training seeds"
        return Refused(reason=reason, unpaired=True)
    return [(number, right_of[cell.pretrain_seed]) for number, cell in enumerate(better)]


def _common(left: Cell, right: Cell) -> tuple[np.ndarray, np.ndarray] | Refused:
    """Places of the trials both cells have, in the same order."""
    objected = objection([left, right])
    if objected:
        return Refused(reason=objected)
    common, in_left, in_right = np.intersect1d(left.trials, right.trials, assume_unique=True, return_indices=True)
    if not len(common):
        return Refused(reason="no trial in common", unpaired=True)
    if (left.seeds[in_left] != right.seeds[in_right]).any():
        return Refused(reason="equal trials have different seeds, so they are not pairs", unpaired=True)
    return in_left, in_right


def one_method(evaluations: Iterable[Evaluation]) -> list[str]:
    """Factors in which the evaluations differ, the pre-training seed apart: none for checkpoints of one method."""
    listed = list(evaluations)
    return [
        factor
        for factor in FACTORS
        if factor != "pretrain_seed" and len({evaluation.factors[factor] for evaluation in listed}) > 1
    ]
