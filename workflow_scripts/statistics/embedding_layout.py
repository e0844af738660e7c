"""Embeddings laid out on a plane by t-SNE, and the agreement of their neighbours, which a plane does not show."""

from __future__ import annotations

import math

import numpy as np
from threadpoolctl import threadpool_limits

MIN_POINTS = 5  # fewer have no neighbourhoods


def usable_perplexity(perplexity: float, points: int) -> float:
    """Return the perplexity for so many points: at most a third of the others, since t-SNE uses three times as many."""
    return min(float(perplexity), (points - 1) / 3)


def tsne(vectors: np.ndarray, *, perplexity: float, seed: int = 0) -> np.ndarray:
    """Lay out `vectors` (points, size) on a plane, float64 (points, 2), by t-SNE (van der Maaten and Hinton 2008).

    It begins with the two principal components, so that the seed decides little, and runs in one thread, so that sums
    are always added up in the same order: the same vectors give the same layout.
    """
    from sklearn.manifold import TSNE  # noqa: PLC0415  (planning needs no scikit-learn)

    method = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    with threadpool_limits(1):
        layout: np.ndarray = method.fit_transform(np.asarray(vectors, np.float64))
    return layout.astype(np.float64)


def agreement(vectors: np.ndarray, *, classes: np.ndarray, apart: np.ndarray) -> tuple[float, float]:
    """Return the share of vectors (points, size) whose nearest neighbour has the same class (points,), and by chance.

    Neighbours differ in `apart` (points,); distances are Euclidean, in the whole space. By chance is the mean share of
    the same class among all candidates. Points without candidates are left out; not-a-number without points.
    """
    from sklearn.metrics import pairwise_distances  # noqa: PLC0415  (planning needs no scikit-learn)

    distances = pairwise_distances(np.asarray(vectors, np.float64))
    candidates = apart[:, None] != apart[None, :]
    with_candidates = candidates.any(axis=1)
    if not with_candidates.any():
        return math.nan, math.nan
    same = classes[:, None] == classes[None, :]
    nearest = np.where(candidates, distances, np.inf)[with_candidates].argmin(axis=1)
    by_chance = (same & candidates)[with_candidates].sum(axis=1) / candidates[with_candidates].sum(axis=1)
    return float(same[with_candidates, nearest].mean()), float(by_chance.mean())
