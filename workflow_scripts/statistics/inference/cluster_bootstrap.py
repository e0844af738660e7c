"""How much a result would change on another test set of the same size: a bootstrap of the test clips.

Clips of one artist, song or repetition are alike, so whole clusters are drawn, not clips: resampling clips one by one
takes every clip for independent evidence and gives intervals that are too narrow (Cameron, Gelbach & Miller 2008).
All trials, and all methods that share test clips, labels, clusters and seed, meet the same resamples.

A resample is a weight per clip, so nothing is copied: metrics that follow from counts need one sparse product, the
areas under curves one running sum per class, and the areas of single clips a weighted mean. Every metric is defined as
in `statistics.metrics`, the means over classes included: a class that a resample lacks is left out of, or counted in,
the mean just as it would be in a test set that lacks it. Where classes have few clips this alone widens the interval.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    satterthwaite,
    t_quantile,
)
from workflow_scripts.statistics.metrics import (
    CLIP_AREAS,
    areas_of_clips,
    entries_counted,
    from_counts,
    metrics,
    observed,
)

RESAMPLES = 1000  # the deviation of a metric is then known to 2 %
UNDEFINED_AT_MOST = 0.05  # of the resamples: with more, what is left is no fair sample of test sets
ENTRIES_AT_ONCE = 2**20  # of a running sum, 4 bytes each: fits a processor's cache
AREAS = ("roc_auc", "pr_auc")


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What the trials of one cell predicted.

    `scores` (trials, clips, classes) are probabilities, `labels` (clips, classes) are NaN where nobody looked,
    `clusters` (clips,) tell which clips belong together; any values that compare equal within a cluster. `UserError`
    when the shapes do not fit, since files then belong to different runs.
    """

    task: Task
    scores: np.ndarray
    labels: np.ndarray
    clusters: np.ndarray

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        if (
            self.scores.ndim != 3
            or self.scores.shape[1:] != self.labels.shape
            or len(self.clusters) != len(self.labels)
        ):
            raise UserError(
                f"predictions {self.scores.shape}, labels {self.labels.shape} and clusters {np.shape(self.clusters)} "
                "do not belong together; run evaluate again"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """A metric on the test set and on its resamples.

    `values` (trials,) and `replicates` (trials, resamples), NaN where a resample leaves the metric undefined;
    `clusters` is how many were drawn, `resample_id` a digest of the resamples: equal for methods that can be compared.
    """

    metric: str
    values: np.ndarray
    replicates: np.ndarray
    clusters: int
    resample_id: str


@dataclass(frozen=True, kw_only=True)
class Combined:
    """A mean over trials with the interval for other trials *and* other test clips, and what each contributes.

    The errors are standard errors of the mean, in the unit of the metric: std_error ** 2 is se_trial ** 2 +
    test_set_error ** 2. `trial_sd` is the deviation between trials. The interval, and what it needs, is NaN where it
    is not known: fewer than three trials or clusters, or a metric undefined in too many resamples. It is symmetric: for
    a metric within a few total errors of 0 or 1 it may pass that bound.
    """

    trials: int
    clusters: int
    mean: float
    low: float
    high: float
    df: float
    trial_std: float
    se_trial: float
    se_test_set: float
    std_error: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


def bootstrap(
    predictions: Predictions, *, names: Collection[str] = (), resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Bootstrap]:
    """Metrics of `predictions`, by name, on `resamples` test sets whose clusters are drawn with replacement.

    All metrics unless `names` picks some: areas under curves take a hundred times as long as the others. The draw
    depends on the clusters, `resamples` and `seed` alone.
    """
    distinct, cluster_of = np.unique(predictions.clusters, return_inverse=True)
    draws = _Draws.of(len(distinct), resamples=resamples, seed=seed)
    areas = {*AREAS, *CLIP_AREAS}.intersection(names or (*AREAS, *CLIP_AREAS))
    counted = not names or not areas.issuperset(names)
    values, replicates = _counted(predictions, cluster_of, draws.factors, names) if counted else ({}, {})
    if predictions.task != "multiclass" and areas:
        if not areas.isdisjoint(AREAS):
            replicates |= _areas(predictions, cluster_of, draws.weights)
        if not areas.isdisjoint(CLIP_AREAS):
            replicates |= _clip_areas(predictions, cluster_of, draws.factors)
        whole = [metrics(predictions.task, labels=predictions.labels, scores=scores) for scores in predictions.scores]
        values = {name: np.array([of_trial[name] for of_trial in whole]) for name in replicates}
    resample_id = _digest(predictions.labels, cluster_of, draws)
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


def difference(treatment: Bootstrap, reference: Bootstrap) -> Bootstrap:
    """Return the metric of `better` minus that of `than`, trial by trial and resample by resample.

    What both owe to easy or hard clips cancels. `UserError` unless both come from the same test clips, labels, clusters
    and draw, in the same metric and number of trials.
    """
    if (
        treatment.resample_id != reference.resample_id
        or treatment.metric != reference.metric
        or len(treatment.values) != len(reference.values)
    ):
        raise UserError(
            f"{treatment.metric} of {len(treatment.values)} trials and {reference.metric} of {len(reference.values)} "
            "were not measured on the same test clips, resamples and trials; compare only cells of one data digest"
        )
    return Bootstrap(
        metric=treatment.metric,
        values=treatment.values - reference.values,
        replicates=treatment.replicates - reference.replicates,
        clusters=treatment.clusters,
        resample_id=treatment.resample_id,
    )


def combine(made: Bootstrap, *, level: float = CONFIDENCE_LEVEL) -> Combined:
    """One interval for the mean over trials from the spread between trials and the bootstrap of the test set.

    Trials and test clusters are crossed: value of trial k on clusters g = mean + a_k + b_g + e_kg. The deviation s of n
    trials on one test set already contains e, so s ** 2 / n is the error due to trials; the mean covariance between
    two trials over the resamples, times clusters / (clusters - 1) as for any sample variance, is that of b alone.
    Their sum counts everything once. Student's t with Satterthwaite's degrees of freedom from n - 1 and clusters - 1.

    Trials are taken for independent of one another, so this is for the trials of one checkpoint.
    """
    n = len(made.values)
    defined = np.isfinite(made.replicates).all(axis=0)
    mean = float(made.values.mean()) if n else math.nan
    trial_std = float(made.values.std(ddof=1)) if n > 1 else math.nan
    se_trial = trial_std / math.sqrt(n) if n > 1 else math.nan
    se_test_set = std_error = df = half_width = math.nan
    enough = n >= MIN_REPLICATES and made.clusters >= MIN_REPLICATES and math.isfinite(mean)
    if enough and (~defined).mean() <= UNDEFINED_AT_MOST:
        se_test_set = math.sqrt(shared_variance(made.replicates[:, defined]) * made.clusters / (made.clusters - 1))
        variances = [se_trial**2, se_test_set**2]
        std_error = math.sqrt(sum(variances))
        df = satterthwaite(variances, [n - 1, made.clusters - 1])
        half_width = t_quantile(df, level) * std_error
    return Combined(
        trials=n,
        clusters=made.clusters,
        mean=mean,
        low=mean - half_width,
        high=mean + half_width,
        df=df,
        trial_std=trial_std,
        se_trial=se_trial,
        se_test_set=se_test_set,
        std_error=std_error,
    )


def shared_variance(replicates: np.ndarray) -> float:
    """Mean covariance over the resamples between two of the rows (trials, resamples), not below 0."""
    n = len(replicates)
    of_sum, of_each = replicates.sum(axis=0).var(ddof=1), replicates.var(axis=1, ddof=1).sum()
    return max(0.0, float(of_sum - of_each) / (n * (n - 1)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Draws:
    """How often each resample holds each group, (clusters, resamples), uint8: no group is ever drawn 255 times.

    `factors` are the same numbers for matrix products, float32; `digest` is of all of them.
    """

    weights: np.ndarray
    factors: np.ndarray
    digest: bytes

    @classmethod
    @functools.lru_cache(maxsize=4)  # the cells of one data set share them
    def of(cls, clusters: int, *, resamples: int, seed: int) -> _Draws:
        random = np.random.default_rng(seed)
        weights = np.empty((clusters, resamples), np.uint8)
        for number in range(resamples):
            drawn = np.bincount(random.integers(clusters, size=clusters), minlength=clusters)
            weights[:, number] = np.minimum(drawn, np.iinfo(np.uint8).max)
        digest = hashlib.blake2b(weights.tobytes(), digest_size=8).digest()
        return cls(weights=weights, factors=weights.astype(np.float32), digest=digest)


def _digest(labels: np.ndarray, cluster_of: np.ndarray, draws: _Draws) -> str:
    content = hashlib.blake2b(draws.digest, digest_size=8)
    for part in (labels.astype(np.float32), cluster_of.astype(np.int64)):
        content.update(np.ascontiguousarray(part).tobytes())
    return content.hexdigest()


def _counted(
    predictions: Predictions, cluster_of: np.ndarray, factors: np.ndarray, names: Collection[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Metrics that follow from counts, on the test set as it is (trials,) and on its resamples (trials, resamples)."""
    of_clusters = _of_clusters(predictions, cluster_of, clusters=len(factors))
    replicates = []
    for part in _parts(factors.shape[1], rows=max(of_clusters.shape)):
        tables = _tables(predictions, of_clusters @ factors[:, part])
        # resamples stay the fastest axis in memory: what follows then runs along it
        replicates.append(from_counts(predictions.task, np.moveaxis(tables, -1, 1), names=names))
    whole = _tables(predictions, of_clusters.sum(axis=1, dtype=np.float64)[:, None])[..., 0]
    return from_counts(predictions.task, whole, names=names), {
        name: np.concatenate([each[name] for each in replicates], axis=1) for name in replicates[0]
    }


def _of_clusters(predictions: Predictions, cluster_of: np.ndarray, *, clusters: int) -> sparse.csr_array:
    """Count what `_tables` needs in each group: (rows, clusters), float32, which is exact for counts up to 2 ** 24.

    multiclass: the entries of the confusion matrix of each trial. multilabel, where the labels looked at are the same
    in every trial: of each trial and class, how many of label 0 and of label 1 are predicted, then how many there are.

    A group has few of these, so multiplying by the others would be most of the work.
    """
    multiclass, classes = predictions.task == "multiclass", predictions.labels.shape[1]
    size = classes * (classes if multiclass else 2)
    places, clips = [], []
    for scores in predictions.scores:
        of_clips, entries = entries_counted(predictions.task, labels=predictions.labels, scores=scores)
        predicted = np.flatnonzero(entries % 2)
        places.append(entries if multiclass else entries[predicted] // 2)
        clips.append(of_clips if multiclass else of_clips[predicted])
    if not multiclass:
        places.append(entries // 2)
        clips.append(of_clips)
    rows = np.concatenate([number * size + each for number, each in enumerate(places)])
    columns = cluster_of[np.concatenate(clips)]
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_array((ones, (rows, columns)), shape=(size * len(places), clusters))


def _tables(predictions: Predictions, counts: np.ndarray) -> np.ndarray:
    """Confusion matrices, float64: (trials, classes, classes, ...), or (trials, classes, 2, 2, ...) for multilabel.

    `counts` (rows, ...) are those of `_of_clusters`, summed over clusters in some way.
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
    """Mean areas over the classes that have both labels, (trials, resamples) each; NaN without such classes."""
    trials, _, classes = predictions.scores.shape
    sums, defined = np.zeros((len(AREAS), trials, weights.shape[1])), np.zeros((trials, weights.shape[1]))
    for trial, scores in enumerate(predictions.scores):
        for number in range(classes):
            clips, true, score = observed(predictions.labels, scores, number)
            if len(np.unique(true)) < 2:
                continue
            curve = _Curve.of(true, score)
            rows = cluster_of[clips[curve.order]]
            for part in _parts(weights.shape[1], rows=len(rows)):
                areas = curve.areas(weights[rows, part])
                there = np.isfinite(areas[0])
                sums[:, trial, part] += np.where(there, areas, 0.0)
                defined[trial, part] += there
    means = np.where(defined > 0, sums / np.maximum(defined, 1), np.nan)
    return dict(zip(AREAS, means, strict=True))


def _clip_areas(predictions: Predictions, cluster_of: np.ndarray, factors: np.ndarray) -> dict[str, np.ndarray]:
    """Mean areas over the clips that have both labels, (trials, resamples) each; NaN without such clips."""
    of_trials = [areas_of_clips(predictions.labels, scores) for scores in predictions.scores]
    replicates = {}
    for name in CLIP_AREAS:
        areas = np.stack([of_trial[name] for of_trial in of_trials])
        there = np.isfinite(areas)
        sums, counts = (
            np.stack([np.bincount(cluster_of, weights=row, minlength=len(factors)) for row in each])
            for each in (np.where(there, areas, 0.0), there)
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
    """Where the curves of one class step, clips sorted by falling score and those of equal score taken together.

    `order` (clips,) sorts; `positive` are the sorted places of label 1. Of the blocks of equal score that hold one:
    `ends`, the last place, and `before`, the place before the first (-1: none); `hits` and `hits_before`, how many of
    `positive` lie up to there.
    """

    order: np.ndarray
    positive: np.ndarray
    ends: np.ndarray
    before: np.ndarray
    hits: np.ndarray
    hits_before: np.ndarray

    @classmethod
    def of(cls, true: np.ndarray, score: np.ndarray) -> _Curve:
        order = np.argsort(-score, kind="stable")
        label, sorted_score = true[order] == 1, score[order]
        ends = np.append(np.flatnonzero(np.diff(sorted_score)), len(score) - 1)
        hits = np.cumsum(label)[ends]
        before, hits_before = np.append(-1, ends[:-1]), np.append(0, hits[:-1])
        holds = hits > hits_before
        return cls(
            order=order,
            positive=np.flatnonzero(label),
            ends=ends[holds],
            before=before[holds],
            hits=hits[holds],
            hits_before=hits_before[holds],
        )

    def areas(self, weights: np.ndarray) -> np.ndarray:
        """ROC area and average precision, (2, resamples), for clip weights (clips in `order`, resamples).

        NaN where a label has no weight.
        """
        seen = _running(weights)
        hits = _running(weights[self.positive])
        hits_at, hits_before = hits[self.hits], hits[self.hits_before]
        seen_at = seen[self.ends + 1]
        false_before, false_at = seen[self.before + 1] - hits_before, seen_at - hits_at
        positives, negatives = hits[-1].astype(np.float64), (seen[-1] - hits[-1]).astype(np.float64)
        gained = (hits_at - hits_before).astype(np.float64)
        above = (gained * (negatives - (false_before + false_at) / 2)).sum(axis=0)
        precision = (gained * (hits_at / np.maximum(seen_at, 1))).sum(axis=0)
        both = (positives > 0) & (negatives > 0)
        divisors = np.stack([positives * negatives, positives])
        return np.where(both, np.stack([above, precision]) / np.maximum(divisors, 1), np.nan)


def _running(weights: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, ... rows."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]), np.int32)
    np.cumsum(weights, axis=0, dtype=np.int32, out=sums[1:])
    return sums
