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

Replicate = Literal["trials", "pretraining seeds"]


@dataclass(frozen=True, kw_only=True)
class TrialSample:
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
class NotComparable:
    """Why two sets of cells cannot be compared in pairs; `unpaired` says that they can be as separate samples."""

    reason: str
    unpaired: bool = False


class TrialSamples:
    """Look-up of the measured cells."""

    def __init__(self, trials: pd.DataFrame) -> None:
        """Index `trials`, the tidy table as `trials.gather` sorts it."""
        self._cells = {(sample.key, sample.metric): sample for sample in _cells(trials)}
        self._metrics: dict[tuple[str, ...], list[str]] = {}
        for key, metric in self._cells:
            self._metrics.setdefault(key, []).append(metric)

    def metrics(self, evaluation: Evaluation) -> list[str]:
        """Metrics a cell was measured with, sorted; empty if it was not run."""
        return sorted(self._metrics.get(evaluation.key, []))

    def get(self, evaluation: Evaluation, metric: str) -> TrialSample | None:
        """The cell's trials, or None where there are none."""
        return self._cells.get((evaluation.key, metric))

    def reason_missing(self, evaluation: Evaluation, metric: str) -> str:
        """Why `get` gives no usable trials; empty when it does."""
        sample = self.get(evaluation, metric)
        if sample is None:
            return f"{metric} not measured" if self.metrics(evaluation) else why_missing(evaluation)
        undefined = int((~np.isfinite(sample.values)).sum())
        return f"{metric} undefined in {undefined} of {len(sample.values)} trials" if undefined else ""


def _cells(trials: pd.DataFrame) -> Iterator[TrialSample]:
    """Every cell and metric; columns are taken apart once, since thousands of small tables would take minutes."""
    names = ("metric", "trial", "seed", "value", "test_clips", "quarantined", "source", "data")
    columns = {name: trials[name].to_numpy() for name in names}
    keys = list(zip(*(trials[factor].astype(str).tolist() for factor in FACTORS), strict=True))
    for rows in trials.groupby([*FACTORS, "metric"], sort=False).indices.values():
        first = rows[0]
        yield TrialSample(
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


def summarise(samples: Sequence[TrialSample]) -> tuple[Replicate, Interval]:
    """Mean and interval over the trials of one checkpoint, or over the means of several; `cells` is not empty."""
    if len(samples) == 1:
        return "trials", mean_interval(samples[0].values)
    return "pretraining seeds", mean_interval([sample.values.mean() for sample in samples])


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


def why_not_comparable(samples: Sequence[TrialSample]) -> str:
    """Why these cells must not stand in one comparison, whatever its kind; empty if they may."""
    for other in samples[1:]:
        found = (
            guards.other_source(samples[0].source, other.source)
            or guards.other_quarantine(samples[0].quarantined, other.quarantined)
            or guards.other_data(samples[0].data, other.data)
        )
        if found:
            return found.reason
    return ""


def fewest_checkpoints(*sides: Sequence[TrialSample]) -> int:
    """Checkpoints of the pre-trained side that has fewest, on which a statement about all sides rests; 0 without."""
    counts = (sum(sample.pretrained for sample in side) for side in sides)
    return min(filter(None, counts), default=0)


def match(treatment: Sequence[TrialSample], reference: Sequence[TrialSample]) -> Matching | NotComparable:
    """Find the pairs of two methods, each given by the cells of its checkpoints (neither is empty).

    One checkpoint on each side: paired by trial. Several: the mean difference of each pair of checkpoints is one value;
    a single cell is paired with all of them, two sets are paired by pre-training seed.
    """
    numbers = _pairs(treatment, reference)
    if isinstance(numbers, NotComparable):
        return numbers
    pairs: list[Pair] = []
    for left, right in numbers:
        rows = _common(treatment[left], reference[right])
        if isinstance(rows, NotComparable):
            return rows
        pairs.append(Pair(left=left, right=right, left_rows=rows[0], right_rows=rows[1]))
    if len(pairs) == 1:
        names = tuple(str(trial) for trial in treatment[0].trials[pairs[0].left_rows])
        return Matching(replicate="trials", names=names, pairs=tuple(pairs))
    names = tuple(f"{treatment[pair.left].pretrain_seed} and {reference[pair.right].pretrain_seed}" for pair in pairs)
    return Matching(replicate="pretraining seeds", names=names, pairs=tuple(pairs))


def _pairs(treatment: Sequence[TrialSample], reference: Sequence[TrialSample]) -> list[tuple[int, int]] | NotComparable:
    if len(treatment) == 1 or len(reference) == 1:
        return [(left, right) for left in range(len(treatment)) for right in range(len(reference))]
    right_of = {sample.pretrain_seed: number for number, sample in enumerate(reference)}
    if len(treatment) != len(reference) or {sample.pretrain_seed for sample in treatment} != set(right_of):
        reason = f"{len(treatment)} and {len(reference)} checkpoints that do not share their pre-training seeds"
        return NotComparable(reason=reason, unpaired=True)
    return [(number, right_of[sample.pretrain_seed]) for number, sample in enumerate(treatment)]


def _common(left: TrialSample, right: TrialSample) -> tuple[np.ndarray, np.ndarray] | NotComparable:
    """Places of the trials both cells have, in the same order."""
    objected = why_not_comparable([left, right])
    if objected:
        return NotComparable(reason=objected)
    common, in_left, in_right = np.intersect1d(left.trials, right.trials, assume_unique=True, return_indices=True)
    if not len(common):
        return NotComparable(reason="no trial in common", unpaired=True)
    if (left.seeds[in_left] != right.seeds[in_right]).any():
        return NotComparable(reason="equal trials have different seeds, so they are not pairs", unpaired=True)
    return in_left, in_right


def one_method(evaluations: Iterable[Evaluation]) -> list[str]:
    """Factors in which the evaluations differ, the pre-training seed apart: none for checkpoints of one method."""
    listed = list(evaluations)
    return [
        factor
        for factor in FACTORS
        if factor != "pretrain_seed" and len({evaluation.factors[factor] for evaluation in listed}) > 1
    ]
