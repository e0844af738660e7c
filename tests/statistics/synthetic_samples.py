"""Samples of trials and predictions that need no files."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from tests.synthetic_results import factors
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.statistics.estimation import Difference, MeanEstimate, compare_methods, estimate_mean
from workflow_scripts.statistics.inference.cluster_bootstrap import Bootstrap
from workflow_scripts.statistics.metrics import confusion
from workflow_scripts.statistics.predictions import Predictions
from workflow_scripts.statistics.samples import TrialSample
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

CLIPS, CLASSES, CLUSTERS, TRIALS = 60, 4, 15, 3


def predictions(*, task: Task, scores: np.ndarray, labels: np.ndarray, clusters: np.ndarray) -> Predictions:
    """Return predictions whose clips and classes are numbered."""
    return Predictions(
        task=task,
        clips=tuple(map(str, range(len(labels)))),
        classes=tuple(map(str, range(labels.shape[1]))),
        labels=labels,
        scores=scores,
        confusion=np.stack([confusion(task, labels=labels, scores=of_trial) for of_trial in scores]),
        clusters=clusters,
    )


def sample(values: Sequence[float] | np.ndarray, *, method: str = "WLP", metric: str = "macro_f1") -> TrialSample:
    """Return the trials of one pre-training seed of a method."""
    levels = factors("pase", "frozen", "openmic", workers=method)
    return TrialSample(
        key=tuple(str(levels[factor]) for factor in FACTORS),
        metric=metric,
        trials=np.arange(len(values)),
        seeds=np.arange(len(values)),
        values=np.asarray(values, np.float64),
        test_clips=90,
        quarantined=0,
        source="twin",
        data_digest="data",
    )


def score_interval(mean: float, std_error: float, df: float, *, level: float = 0.95) -> tuple[float, float]:
    """Return the shares v for which (mean - v)^2 is at most (t std_error)^2 v (1 - v) / (mean (1 - mean)), by roots."""
    squared = (stats.t.ppf((1 + level) / 2, df) * std_error) ** 2 / (mean * (1 - mean))
    low, high = sorted(np.roots([1 + squared, -(2 * mean + squared), mean**2]).real)
    return float(low), float(high)


def score_interval_of(values: Sequence[float] | np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean of trials."""
    array = np.asarray(values)
    return score_interval(array.mean(), array.std(ddof=1) / math.sqrt(len(array)), len(array) - 1, level=level)


def mean_of_bootstrap(bootstrap: Bootstrap) -> MeanEstimate:
    """Estimate the mean of a method from its bootstrap."""
    one = sample(bootstrap.values, metric=bootstrap.metric)
    return estimate_mean([one], BootstrapReplicates({(one.key, one.metric): bootstrap}))


def difference_of_bootstraps(treatment: Bootstrap, reference: Bootstrap) -> Difference:
    """Compare two methods by their bootstraps."""
    sides = {"WLPMCT": treatment, "WLP": reference}
    samples = [sample(side.values, method=method, metric=side.metric) for method, side in sides.items()]
    bootstraps = {(side.key, side.metric): bootstrap for side, bootstrap in zip(samples, sides.values(), strict=True)}
    difference = compare_methods([samples[0]], [samples[1]], BootstrapReplicates(bootstraps))
    assert isinstance(difference, Difference)
    return difference


def random_predictions(seed: int, task: Task = "multilabel", *, trials: int = TRIALS) -> Predictions:
    """Labels partly unobserved, scores with ties, clusters of unequal size."""
    rng = np.random.default_rng(seed)
    if task == "multiclass":
        labels = np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=CLIPS)]
    else:
        labels = (rng.random((CLIPS, CLASSES)) < 0.4).astype(np.float32)
        labels[rng.random((CLIPS, CLASSES)) < 0.4] = np.nan
    scores = np.round(rng.random((trials, CLIPS, CLASSES)) * 0.7 + 0.3 * np.nan_to_num(labels), 1)
    return predictions(task=task, scores=scores, labels=labels, clusters=rng.integers(CLUSTERS, size=CLIPS))


def resampled_rows(clusters: np.ndarray, *, resamples: int, seed: int) -> list[np.ndarray]:
    """Rows of the clips in each resample, by the documented draw: as many clusters as there are, with replacement."""
    rng = np.random.default_rng(seed)
    names = np.unique(clusters)
    chosen = [names[rng.integers(len(names), size=len(names))] for _ in range(resamples)]
    return [np.concatenate([np.flatnonzero(clusters == name) for name in side]) for side in chosen]
