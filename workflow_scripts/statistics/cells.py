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

from workflow_scripts.factors import FACTORS, NONE
from workflow_scripts.statistics.comparisons import Paired, paired
from workflow_scripts.statistics.intervals import Interval, mean_interval
from workflow_scripts.statistics.plan import Evaluation

Replicate = Literal["trials", "checkpoints"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one metric in one cell, by ascending trial."""

    key: tuple[str, ...]
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
    def pretrain_seed(self) -> str:
        """Seed of the run: checkpoints differ in it."""
        return self.key[FACTORS.index("pretrain_seed")]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Result of a comparison; `replicate` is what its n counts."""

    replicate: Replicate
    result: Paired


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Why two sets of cells cannot be compared."""

    reason: str


class Cells:
    """Look-up of the measured cells."""

    def __init__(self, trials: pd.DataFrame) -> None:
        """Index `trials`, the tidy table as `trials.gather` sorts it."""
        self._cells = {(key[:-1], key[-1]): _cell(key[:-1], rows) for key, rows in _by_cell_and_metric(trials)}
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
            return f"{metric} not measured" if self.metrics(evaluation) else "not run"
        undefined = int((~np.isfinite(cell.values)).sum())
        return f"{metric} undefined in {undefined} of {len(cell.values)} trials" if undefined else ""


def _by_cell_and_metric(trials: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    for key, rows in trials.groupby([*FACTORS, "metric"], sort=False):
        yield tuple(str(level) for level in key), rows


def _cell(key: tuple[str, ...], rows: pd.DataFrame) -> Cell:
    first = rows.iloc[0]
    return Cell(
        key=key,
        trials=rows["trial"].to_numpy(),
        seeds=rows["seed"].to_numpy(),
        values=rows["value"].to_numpy(),
        test_clips=int(first["test_clips"]),
        quarantined=int(first["quarantined"]),
        source=first["source"],
        data=first["data"],
    )


def summarise(cells: Sequence[Cell]) -> tuple[Replicate, Interval]:
    """Mean and interval over the trials of one checkpoint, or over the means of several; `cells` is not empty."""
    if len(cells) == 1:
        return "trials", mean_interval(cells[0].values)
    return "checkpoints", mean_interval([cell.values.mean() for cell in cells])


def compare(better: Sequence[Cell], than: Sequence[Cell]) -> Compared | Refused:
    """Compare two methods, each given by the cells of its checkpoints (neither is empty).

    One checkpoint on each side: paired by trial. Several: the mean difference of each pair of checkpoints is one value;
    a single cell is paired with all of them, two sets are paired by pre-training seed.
    """
    pairs = _pairs(better, than)
    if isinstance(pairs, Refused):
        return pairs
    matched = []
    for left, right in pairs:
        values = _matched(left, right)
        if isinstance(values, Refused):
            return values
        matched.append(values)
    if len(matched) == 1:
        return Compared(replicate="trials", result=paired(*matched[0]))
    means = np.array([[left.mean(), right.mean()] for left, right in matched])
    return Compared(replicate="checkpoints", result=paired(means[:, 0], means[:, 1]))


def _pairs(better: Sequence[Cell], than: Sequence[Cell]) -> list[tuple[Cell, Cell]] | Refused:
    if len(better) == 1 or len(than) == 1:
        return [(left, right) for left in better for right in than]
    right_of = {cell.pretrain_seed: cell for cell in than}
    if len(better) != len(than) or {cell.pretrain_seed for cell in better} != set(right_of):
        return Refused(reason=f"{len(better)} and {len(than)} checkpoints that do not share their pre-training seeds")
    return [(cell, right_of[cell.pretrain_seed]) for cell in better]


def _matched(left: Cell, right: Cell) -> tuple[np.ndarray, np.ndarray] | Refused:
    """Values of the trials both cells have, in the same order."""
    if left.data != right.data:
        return Refused(reason=f"measured on different data (digests {left.data} and {right.data})")
    common, in_left, in_right = np.intersect1d(left.trials, right.trials, assume_unique=True, return_indices=True)
    if not len(common):
        return Refused(reason="no trial in common")
    if (left.seeds[in_left] != right.seeds[in_right]).any():
        return Refused(reason="equal trials have different seeds, so they are not pairs")
    return left.values[in_left], right.values[in_right]


def one_method(evaluations: Iterable[Evaluation]) -> list[str]:
    """Factors in which the evaluations differ, the pre-training seed apart: none for checkpoints of one method."""
    listed = list(evaluations)
    return [
        factor
        for factor in FACTORS
        if factor != "pretrain_seed" and len({evaluation.factors[factor] for evaluation in listed}) > 1
    ]
