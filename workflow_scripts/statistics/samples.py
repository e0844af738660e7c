"""Trials of one metric in one cell as a sample, and the pairs of two methods.

Several cells that differ only in the pre-training seed are samples of one method. Trials of one pre-training seed are
not independent evidence about a method, so with several seeds the seed is the unit of replication.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from workflow_scripts.levels.factors import FACTORS, NONE
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics import guards
from workflow_scripts.statistics.failure_reasons import missing_reason

Replicate = Literal["trials", "pretraining seeds"]
UNEQUAL_SEEDS = "equal trials have different seeds, so they are not pairs"


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
    data_digest: str
    epochs: np.ndarray = field(default_factory=lambda: np.empty(0))  # of each trial

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
        """Pre-training seed of the cell's run."""
        return self.key[FACTORS.index("pretrain_seed")]


@dataclass(frozen=True, kw_only=True)
class NotComparable:
    """Reason why samples cannot be compared, or not in pairs; `unpaired` if they can as separate samples."""

    reason: str
    unpaired: bool = False


class TrialSamples:
    """Look-up of the samples of all measured cells."""

    def __init__(self, trials: pd.DataFrame) -> None:
        """Index `trials`, the tidy table as `trials.gather` sorts it."""
        self._samples = {(sample.key, sample.metric): sample for sample in _samples(trials)}
        self._metrics: dict[tuple[str, ...], list[str]] = {}
        for key, metric in self._samples:
            self._metrics.setdefault(key, []).append(metric)

    def metrics(self, cell: PlannedCell) -> list[str]:
        """Return the metrics of a cell, sorted; empty if it was not run."""
        return sorted(self._metrics.get(cell.key, []))

    def get(self, cell: PlannedCell, metric: str) -> TrialSample | None:
        """Return the cell's trials, or None where there are none."""
        return self._samples.get((cell.key, metric))

    def reason_missing(self, cell: PlannedCell, metric: str) -> str:
        """Return why `get` gives no usable trials; empty when it does."""
        sample = self.get(cell, metric)
        if sample is None:
            return f"{metric} not measured" if self.metrics(cell) else missing_reason(cell)
        undefined = int((~np.isfinite(sample.values)).sum())
        return f"{metric} undefined in {undefined} of {len(sample.values)} trials" if undefined else ""


def _samples(trials: pd.DataFrame) -> Iterator[TrialSample]:
    """Yield the sample of every cell and metric, from columns, since thousands of small tables would take minutes."""
    names = ("metric", "trial", "seed", "value", "test_clips", "quarantined", "source", "data_digest", "epochs")
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
            data_digest=str(columns["data_digest"][first]),
            epochs=columns["epochs"][rows],
        )


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two samples with common trials.

    `left` and `right` are the samples' positions on either side; `left_rows` and `right_rows` are the rows of the
    common trials, in the same order.
    """

    left: int
    right: int
    left_rows: np.ndarray
    right_rows: np.ndarray


@dataclass(frozen=True, kw_only=True)
class PairedReplicates:
    """The paired replicates of two methods; `names` identifies each replicate."""

    replicate: Replicate
    names: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def values(self, left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of either side, (trials, ...) for each sample, as pairs (replicates, ...).

        One pair of samples: its common trials. Several: the means over the trials of each pair of samples.
        """
        matched = [(left[pair.left][pair.left_rows], right[pair.right][pair.right_rows]) for pair in self.pairs]
        if self.replicate == "trials":
            return matched[0]
        return np.stack([one.mean(axis=0) for one, _ in matched]), np.stack([two.mean(axis=0) for _, two in matched])


def incomparability_reason(samples: Sequence[TrialSample]) -> str:
    """Return why these samples must not be compared, whatever the kind of comparison; empty if they may."""
    for other in samples[1:]:
        reason = (
            guards.different_source_reason(samples[0].source, other.source)
            or guards.different_quarantine_reason(samples[0].quarantined, other.quarantined)
            or guards.different_data_reason(samples[0].data_digest, other.data_digest)
        )
        if reason:
            return reason
    return ""


def fewest_pretraining_seeds(*sides: Sequence[TrialSample]) -> int:
    """Count the seeds of the pre-trained side with the fewest, on which a statement about all sides rests, or 0."""
    counts = (sum(sample.pretrained for sample in side) for side in sides)
    return min(filter(None, counts), default=0)


def match(treatment: Sequence[TrialSample], reference: Sequence[TrialSample]) -> PairedReplicates | NotComparable:
    """Pair the replicates of two methods, each given by the samples of its pre-training seeds (neither is empty).

    One seed on each side: paired by trial. Several: the mean difference of each pair of seeds is one value; a single
    sample is paired with all of them, two sets are paired by pre-training seed.
    """
    numbers = _pair_samples(treatment, reference)
    if isinstance(numbers, NotComparable):
        return numbers
    pairs: list[Pair] = []
    for left, right in numbers:
        rows = _common_rows(treatment[left], reference[right])
        if isinstance(rows, NotComparable):
            return rows
        pairs.append(Pair(left=left, right=right, left_rows=rows[0], right_rows=rows[1]))
    if len(pairs) == 1:
        names = tuple(str(trial) for trial in treatment[0].trials[pairs[0].left_rows])
        return PairedReplicates(replicate="trials", names=names, pairs=tuple(pairs))
    names = tuple(f"{treatment[pair.left].pretrain_seed} and {reference[pair.right].pretrain_seed}" for pair in pairs)
    return PairedReplicates(replicate="pretraining seeds", names=names, pairs=tuple(pairs))


def _pair_samples(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample]
) -> list[tuple[int, int]] | NotComparable:
    if len(treatment) == 1 or len(reference) == 1:
        return [(left, right) for left in range(len(treatment)) for right in range(len(reference))]
    right_of = {sample.pretrain_seed: number for number, sample in enumerate(reference)}
    if len(treatment) != len(reference) or {sample.pretrain_seed for sample in treatment} != set(right_of):
        reason = f"{len(treatment)} and {len(reference)} pre-training seeds that are not the same"
        return NotComparable(reason=reason, unpaired=True)
    return [(number, right_of[sample.pretrain_seed]) for number, sample in enumerate(treatment)]


def _common_rows(left: TrialSample, right: TrialSample) -> tuple[np.ndarray, np.ndarray] | NotComparable:
    """Return the rows of the trials that both samples have, in the same order."""
    reason = incomparability_reason([left, right])
    if reason:
        return NotComparable(reason=reason)
    common, in_left, in_right = np.intersect1d(left.trials, right.trials, assume_unique=True, return_indices=True)
    if not len(common):
        return NotComparable(reason="no trial in common", unpaired=True)
    if (left.seeds[in_left] != right.seeds[in_right]).any():
        return NotComparable(reason=UNEQUAL_SEEDS, unpaired=True)
    return in_left, in_right


def as_matrix(samples: Sequence[TrialSample], *, trials: Sequence[int] = ()) -> np.ndarray:
    """Return values as (samples, trials), NaN where a sample lacks a trial; all trials unless some are given."""
    columns = np.array(trials or sorted({int(trial) for sample in samples for trial in sample.trials}))
    matrix = np.full((len(samples), len(columns)), np.nan)
    for row, sample in zip(matrix, samples, strict=True):
        _, to, of = np.intersect1d(columns, sample.trials, assume_unique=True, return_indices=True)
        row[to] = sample.values[of]
    return matrix


def common_trials(samples: Sequence[TrialSample]) -> list[int] | NotComparable:
    """Return the trials that all samples have, ascending; not comparable if there is none or their seeds differ."""
    common = sorted(set.intersection(*({int(trial) for trial in sample.trials} for sample in samples)))
    if not common:
        return NotComparable(reason="no trial in common")
    seeds = {tuple(sample.seeds[np.isin(sample.trials, common)].tolist()) for sample in samples}
    return common if len(seeds) == 1 else NotComparable(reason=UNEQUAL_SEEDS)


def sort_by_seed(samples: Sequence[TrialSample]) -> list[TrialSample]:
    """Return the samples of a method by ascending pre-training seed."""
    return sorted(samples, key=lambda sample: int(sample.pretrain_seed))


def pair_by_seed(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample]
) -> tuple[bool, list[TrialSample], list[TrialSample]]:
    """Return whether the pre-training seeds of two methods are pairs, and both sides by ascending seed.

    Pairs have the same seeds, more than one, and the same encoder, because different architectures do not share initial
    weights.
    """
    left, right = sort_by_seed(treatment), sort_by_seed(reference)
    same_seeds = [sample.pretrain_seed for sample in left] == [sample.pretrain_seed for sample in right]
    encoders = {sample.encoder for sample in (*left, *right)}
    return same_seeds and len(left) > 1 and len(encoders) == 1, left, right


def differing_factors(cells: Iterable[PlannedCell]) -> list[str]:
    """Return the factors in which cells differ, the pre-training seed apart: none for those of one method."""
    members = list(cells)
    return [
        factor
        for factor in FACTORS
        if factor != "pretrain_seed" and len({cell.factors[factor] for cell in members}) > 1
    ]
