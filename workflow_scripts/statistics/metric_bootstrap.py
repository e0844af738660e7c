"""Metrics of one cell's predictions on resamples of the test set.

A resample is a weight per clip, so nothing is copied: metrics that follow from counts need one sparse product, the
areas under curves one running sum per class, and the areas of single clips a weighted mean. Every metric is defined as
in `statistics.metrics`, the means over classes included: a class that a resample lacks is left out of, or counted in,
the mean just as it would be in a test set that lacks it. Where classes have few clips this alone widens the interval.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.cluster_bootstrap import RESAMPLES, Bootstrap, ClusterResamples
from workflow_scripts.statistics.metrics import (
    AREAS,
    CLIP_AREAS,
    areas_of_clips,
    confusion_positions,
    from_counts,
    metrics,
    select_observed,
)
from workflow_scripts.statistics.predictions import Predictions

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ENTRIES_AT_ONCE = 2**20  # of a running sum, 4 bytes each: fits a processor's cache


def bootstrap_metrics(
    predictions: Predictions, *, names: Collection[str] = (), resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Bootstrap]:
    """Measure `predictions` on `resamples` test sets whose clusters are drawn with replacement, by metric.

    All metrics unless `names` picks some: areas under curves take a hundred times as long as the others. The draw
    depends on the clusters, `resamples` and `seed` alone. `UserError` for predictions without clusters.
    """
    if predictions.clusters is None:
        raise UserError("the predictions name no clusters of test clips; run evaluate again")
    # clusters as numbers, and the weights of each in each resample
    distinct, cluster_of = np.unique(predictions.clusters, return_inverse=True)
    draw = ClusterResamples.draw(len(distinct), resamples=resamples, seed=seed)
    areas = {*AREAS, *CLIP_AREAS}.intersection(names or (*AREAS, *CLIP_AREAS))
    # metrics that follow from counts
    needs_counts = not names or not areas.issuperset(names)
    values, replicates = _measure_counts(predictions, cluster_of, draw.factors, names) if needs_counts else ({}, {})
    # areas under curves, of multilabel data alone
    if predictions.task != "multiclass" and areas:
        if not areas.isdisjoint(AREAS):
            replicates |= _areas(predictions, cluster_of, draw.weights)
        if not areas.isdisjoint(CLIP_AREAS):
            replicates |= _clip_areas(predictions, cluster_of, draw.factors)
        of_trials = [
            metrics(predictions.task, labels=predictions.labels, scores=scores) for scores in predictions.scores
        ]
        values = {name: np.array([trial[name] for trial in of_trials]) for name in replicates}
    resample_id = draw.identify(predictions.labels, cluster_of)
    return {
        name: Bootstrap(
            metric=name,
            values=values[name],
            replicates=replicates[name],
            clusters=len(distinct),
            resample_id=resample_id,
        )
        for name in replicates
        if not names or name in names
    }


def _measure_counts(
    predictions: Predictions, cluster_of: np.ndarray, factors: np.ndarray, names: Collection[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Compute metrics that follow from counts: on the test set (trials,) and on its resamples (trials, resamples)."""
    counts = _count_in_clusters(predictions, cluster_of, clusters=len(factors))
    parts = []
    for part in _parts(factors.shape[1], rows=max(counts.shape)):
        tables = _confusion_tables(predictions, counts @ factors[:, part])
        # resamples stay the fastest axis in memory: what follows then runs along it
        parts.append(from_counts(predictions.task, np.moveaxis(tables, -1, 1), names=names))
    whole = _confusion_tables(predictions, counts.sum(axis=1, dtype=np.float64)[:, None])[..., 0]
    return from_counts(predictions.task, whole, names=names), {
        name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]
    }


def _count_in_clusters(predictions: Predictions, cluster_of: np.ndarray, *, clusters: int) -> csr_array:
    """Count in each cluster what `_confusion_tables` needs: (rows, clusters), float32, exact for counts to 2 ** 24.

    multiclass: the entries of the confusion matrix of each trial. multilabel, where the observed labels are the same in
    every trial: of each trial and class, how many of label 0 and of label 1 are predicted, then how many there are.

    A cluster has few of these, so multiplying by the others would be most of the work.
    """
    from scipy.sparse import csr_array  # noqa: PLC0415  (planning needs no scipy.sparse)

    multiclass, classes = predictions.task == "multiclass", predictions.labels.shape[1]
    size = classes * (classes if multiclass else 2)
    # row within a trial, and clip, of everything that is counted
    entries_of_trials, clips_of_trials = [], []
    for scores in predictions.scores:
        clips, entries = confusion_positions(predictions.task, labels=predictions.labels, scores=scores)
        predicted = np.flatnonzero(entries % 2)
        entries_of_trials.append(entries if multiclass else entries[predicted] // 2)
        clips_of_trials.append(clips if multiclass else clips[predicted])
    if not multiclass:
        entries_of_trials.append(entries // 2)
        clips_of_trials.append(clips)
    rows = np.concatenate([number * size + entries for number, entries in enumerate(entries_of_trials)])
    columns = cluster_of[np.concatenate(clips_of_trials)]
    ones = np.ones(len(rows), np.float32)
    return csr_array((ones, (rows, columns)), shape=(size * len(entries_of_trials), clusters))


def _confusion_tables(predictions: Predictions, counts: np.ndarray) -> np.ndarray:
    """Return confusion matrices, float64: (trials, classes, classes, ...), or multilabel (trials, classes, 2, 2, ...).

    `counts` (rows, ...) are those of `_count_in_clusters`, summed over clusters in some way.
    """
    trials, _, classes = predictions.scores.shape
    if predictions.task == "multiclass":
        return counts.astype(np.float64).reshape(trials, classes, classes, -1)
    by_label = counts.reshape(trials + 1, classes, 2, -1)
    tables = np.empty((trials, classes, 2, 2, by_label.shape[-1]))
    tables[..., 1, :] = by_label[:-1]
    tables[..., 0, :] = by_label[-1] - by_label[:-1]
    return tables


def _areas(predictions: Predictions, cluster_of: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Compute mean areas over the classes that have both labels, (trials, resamples) each; NaN without such classes."""
    trials, _, classes = predictions.scores.shape
    sums, defined = np.zeros((len(AREAS), trials, weights.shape[1])), np.zeros((trials, weights.shape[1]))
    for trial, scores in enumerate(predictions.scores):
        for number in range(classes):
            clips, true, score = select_observed(predictions.labels, scores, number)
            if len(np.unique(true)) < 2:
                continue
            curve = _Curve.of(true, score)
            rows = cluster_of[clips[curve.order]]
            for part in _parts(weights.shape[1], rows=len(rows)):
                areas = curve.areas(weights[rows, part])
                finite = np.isfinite(areas[0])
                sums[:, trial, part] += np.where(finite, areas, 0.0)
                defined[trial, part] += finite
    means = np.where(defined > 0, sums / np.maximum(defined, 1), np.nan)
    return dict(zip(AREAS, means, strict=True))


def _clip_areas(predictions: Predictions, cluster_of: np.ndarray, factors: np.ndarray) -> dict[str, np.ndarray]:
    """Compute mean areas over the clips that have both labels, (trials, resamples) each; NaN without such clips."""
    of_trials = [areas_of_clips(predictions.labels, scores) for scores in predictions.scores]
    replicates = {}
    for name in CLIP_AREAS:
        areas = np.stack([trial[name] for trial in of_trials])
        finite = np.isfinite(areas)
        # sum and number of the areas in each cluster, (trials, clusters)
        sums, counts = (
            np.stack([np.bincount(cluster_of, weights=row, minlength=len(factors)) for row in rows])
            for rows in (np.where(finite, areas, 0.0), finite)
        )
        weight = counts @ factors
        replicates[name] = np.where(weight > 0, sums @ factors / np.maximum(weight, 1), np.nan)
    return replicates


def _parts(resamples: int, *, rows: int) -> Iterator[slice]:
    """Cut the resamples so that an array (rows, part) stays small."""
    step = max(16, ENTRIES_AT_ONCE // max(1, rows))  # fewer than 16 side by side would waste vector units
    for start in range(0, resamples, step):
        yield slice(start, min(start + step, resamples))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curve:
    """Steps of the curves of one class, clips sorted by falling score and those of equal score taken together.

    `order` (clips,) sorts; `positive` are the sorted positions of label 1. Of the blocks of equal score that hold one:
    `ends`, the last position, and `before`, the position before the first (-1: none); `hits` and `hits_before`, the
    number of `positive` up to there.
    """

    order: np.ndarray
    positive: np.ndarray
    ends: np.ndarray
    before: np.ndarray
    hits: np.ndarray
    hits_before: np.ndarray

    @classmethod
    def of(cls, true: np.ndarray, score: np.ndarray) -> _Curve:
        # sort by falling score; blocks of equal score end where it changes
        order = np.argsort(-score, kind="stable")
        label, sorted_score = true[order] == 1, score[order]
        ends = np.append(np.flatnonzero(np.diff(sorted_score)), len(score) - 1)
        hits = np.cumsum(label)[ends]
        before, hits_before = np.append(-1, ends[:-1]), np.append(0, hits[:-1])
        # the curves step in blocks that hold a clip of label 1
        steps = hits > hits_before
        return cls(
            order=order,
            positive=np.flatnonzero(label),
            ends=ends[steps],
            before=before[steps],
            hits=hits[steps],
            hits_before=hits_before[steps],
        )

    def areas(self, weights: np.ndarray) -> np.ndarray:
        """Return ROC area and average precision, (2, resamples), for clip weights (clips in `order`, resamples).

        NaN where a label has no weight.
        """
        # weight of all clips, of label 1 and of label 0, before and at the end of each block
        seen, hits = _running_sums(weights), _running_sums(weights[self.positive])
        hits_at, hits_before = hits[self.hits], hits[self.hits_before]
        seen_at = seen[self.ends + 1]
        false_before, false_at = seen[self.before + 1] - hits_before, seen_at - hits_at
        positives, negatives = hits[-1].astype(np.float64), (seen[-1] - hits[-1]).astype(np.float64)
        gained = (hits_at - hits_before).astype(np.float64)
        # ROC area: pairs of labels in the right order, those of equal score by half
        ordered = (gained * (negatives - (false_before + false_at) / 2)).sum(axis=0)
        # average precision: sum over blocks of (gain in recall) x (precision at the block)
        precision = (gained * (hits_at / np.maximum(seen_at, 1))).sum(axis=0)
        both = (positives > 0) & (negatives > 0)
        divisors = np.stack([positives * negatives, positives])
        return np.where(both, np.stack([ordered, precision]) / np.maximum(divisors, 1), np.nan)


def _running_sums(weights: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, ... rows."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]), np.int32)
    np.cumsum(weights, axis=0, dtype=np.int32, out=sums[1:])
    return sums
