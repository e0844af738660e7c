"""Uncertainty of a result that is due to the test set: a bootstrap of the clusters of test clips.

Clips of one artist, song or repetition are alike, so whole clusters are resampled, not clips: resampling clips one by
one takes every clip for independent evidence and gives intervals that are too narrow (Cameron, Gelbach & Miller 2008).
All trials, and all methods that share test clips, labels, clusters and seed, are measured on the same resamples.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import MIN_REPLICATES

RESAMPLES = 1000  # the standard error of a metric is then known to 2 %
# with more undefined resamples the defined ones are no fair sample of test sets
MAX_UNDEFINED_SHARE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """A metric on the test set and on its resamples.

    `values` (trials,) and `replicates` (trials, resamples), NaN where a resample leaves the metric undefined;
    `clusters` is the number of clusters, `resample_id` a digest of the resamples: equal for methods that can be
    compared.
    """

    metric: str
    values: np.ndarray
    replicates: np.ndarray
    clusters: int
    resample_id: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ClusterResamples:
    """Multiplicity of each cluster in each resample, (clusters, resamples), uint8: no cluster is ever drawn 255 times.

    `factors` are the same numbers for matrix products, float32; `digest` is of all of them.
    """

    weights: np.ndarray
    factors: np.ndarray
    digest: bytes

    @classmethod
    @functools.lru_cache(maxsize=4)  # the cells of one data set share them
    def draw(cls, clusters: int, *, resamples: int, seed: int) -> ClusterResamples:
        """Draw `clusters` clusters with replacement for each resample."""
        rng = np.random.default_rng(seed)
        weights = np.empty((clusters, resamples), np.uint8)
        for number in range(resamples):
            counts = np.bincount(rng.integers(clusters, size=clusters), minlength=clusters)
            weights[:, number] = np.minimum(counts, np.iinfo(np.uint8).max)
        digest = hashlib.blake2b(weights.tobytes(), digest_size=8).digest()
        return cls(weights=weights, factors=weights.astype(np.float32), digest=digest)

    def identify(self, labels: np.ndarray, cluster_of: np.ndarray) -> str:
        """Return a digest of the resamples of the clips with these `labels` and numbers of clusters."""
        content = hashlib.blake2b(self.digest, digest_size=8)
        for part in (labels.astype(np.float32), cluster_of.astype(np.int64)):
            content.update(np.ascontiguousarray(part).tobytes())
        return content.hexdigest()


def paired_difference(treatment: Bootstrap, reference: Bootstrap) -> Bootstrap:
    """Return the metric of `treatment` minus that of `reference`, trial by trial and resample by resample.

    The part of both that is due to easy or hard clips cancels. `UserError` unless both come from the same test clips,
    labels, clusters and resamples, in the same metric and number of trials.
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


def test_set_std_error(sides: Sequence[np.ndarray], *, clusters: int) -> float:
    """Return the standard error, due to the test set, of a mean (one side) or of a difference of two unpaired means.

    Each side is (replicates, resamples): the trials of one method, or the means over the trials of its pre-training
    seeds. Replicates and clusters are crossed: value of replicate k on clusters g = mean + a_k + b_g + e_kg. The
    variance between replicates on one test set already contains e, so only the variance of b is added here: the mean
    covariance between two replicates over the resamples, times clusters / (clusters - 1) as for any sample variance.

    NaN where it is not known: fewer than three clusters, fewer than two replicates on a side, or a metric that is
    undefined in too many resamples.
    """
    defined = np.isfinite(np.concatenate(sides)).all(axis=0)
    if clusters < MIN_REPLICATES or min(map(len, sides)) < 2 or (~defined).mean() > MAX_UNDEFINED_SHARE:
        return math.nan
    defined_sides = [side[:, defined] for side in sides]
    variance = sum(shared_variance(side) for side in defined_sides)
    if len(defined_sides) > 1:
        # both sides are measured on the same clips: var(x - y) = var(x) + var(y) - 2 cov(x, y)
        variance -= 2 * float(np.cov(defined_sides[0].mean(axis=0), defined_sides[1].mean(axis=0))[0, 1])
    return math.sqrt(max(0.0, variance) * clusters / (clusters - 1))


def shared_variance(replicates: np.ndarray) -> float:
    """Return the mean covariance over the resamples between two of the rows (replicates, resamples), at least 0."""
    n = len(replicates)
    # var(sum) = sum of variances + sum of the n (n - 1) covariances
    of_sum, of_rows = replicates.sum(axis=0).var(ddof=1), replicates.var(axis=1, ddof=1).sum()
    return max(0.0, float(of_sum - of_rows) / (n * (n - 1)))


def statistic_std_errors(
    statistic: Callable[..., np.ndarray], clusters: Sequence[np.ndarray], *, resamples: int = RESAMPLES
) -> np.ndarray:
    """Return the standard errors, due to the clips, of the values of a statistic, (values,).

    `clusters` has the clusters of the clips, numbers from 0, of each data set; `statistic` takes as many arrays of
    weights (clips,), how often each clip occurs, and returns (values,). Data sets are resampled independently.

    NaN where it is not known: fewer than three clusters of a data set, or a value that is undefined in too many
    resamples.
    """
    numbers = [int(of_set.max()) + 1 for of_set in clusters]
    draws = [
        ClusterResamples.draw(number, resamples=resamples, seed=seed).factors[of_set]
        for seed, (number, of_set) in enumerate(zip(numbers, clusters, strict=True))
    ]
    replicates = np.stack([statistic(*(draw[:, resample] for draw in draws)) for resample in range(resamples)])
    defined = np.isfinite(replicates)
    fewest = min(numbers)
    known = (fewest >= MIN_REPLICATES) & (1 - defined.mean(axis=0) <= MAX_UNDEFINED_SHARE)
    errors = np.full(replicates.shape[1], math.nan)
    errors[known] = np.std(replicates[:, known], axis=0, ddof=1, where=defined[:, known])
    return errors * math.sqrt(fewest / max(1, fewest - 1))
