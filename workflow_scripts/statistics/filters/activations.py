"""How many filters of an encoder respond to a clip, and how evenly (Spijkervet 2021, section 7.2).

Negative activations, which a layer with ReLU does not have, count as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from workflow_scripts.statistics.estimation import Estimates, estimate_from_clips
from workflow_scripts.statistics.filters.responses import Responses

PERCENT = 100
WEAK = 0.1  # of a filter's largest activation: what a filter hardly responds to


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number of each clip: `compute` maps positive activations (clips, filters) to values (clips,)."""

    label: str
    decimals: int
    compute: Callable[[np.ndarray], np.ndarray]


def active_share(positive: np.ndarray) -> np.ndarray:
    """Return the percentage of filters with an activation above 0."""
    return PERCENT * (positive > 0).mean(axis=1)


def strong_share(positive: np.ndarray) -> np.ndarray:
    """Return the percentage of filters above a tenth of their largest activation in these clips."""
    return PERCENT * (positive > WEAK * positive.max(axis=0)).mean(axis=1)


def effective_filters(positive: np.ndarray) -> np.ndarray:
    """Return the effective number of filters: the exponential of the entropy of their shares of the activation.

    As many filters that respond equally have the same entropy; 0 where none responds.
    """
    total = positive.sum(axis=1, keepdims=True)
    shares = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    return np.where(total[:, 0] > 0, np.exp(scipy.special.entr(shares).sum(axis=1)), 0.0)


def gini(positive: np.ndarray) -> np.ndarray:
    """Return the Gini coefficient of the activations: 0 if all filters respond equally, near 1 if only one does."""
    filters = positive.shape[1]
    total = positive.sum(axis=1)
    weighted = np.sort(positive, axis=1) @ np.arange(1, filters + 1)
    ratio = np.divide(2 * weighted, filters * total, out=np.full_like(total, (filters + 1) / filters), where=total > 0)
    return ratio - (filters + 1) / filters


MEASURES = {
    "active_share": Measure(label="filters above 0, percent", decimals=1, compute=active_share),
    "strong_share": Measure(label="filters above a tenth of their maximum, percent", decimals=1, compute=strong_share),
    "effective_filters": Measure(label="effective number of filters", decimals=1, compute=effective_filters),
    "gini": Measure(label="Gini coefficient", decimals=3, compute=gini),
}


def measure_clips(values: np.ndarray) -> np.ndarray:
    """Compute every measure of each clip, (clips, measures), of activations (clips, filters)."""
    positive = np.maximum(values, 0)
    return np.stack([measure.compute(positive) for measure in MEASURES.values()], axis=1)


def estimate_measures(responses: Responses, over: Responses | None = None) -> Estimates:
    """Estimate the mean of every measure over clips, or how much higher it is than over the clips of `over`."""
    sides = [responses] if over is None else [responses, over]
    of_clips = [measure_clips(side.values) for side in sides]

    def mean(*weights: np.ndarray) -> np.ndarray:
        means = [weight @ values / weight.sum() for weight, values in zip(weights, of_clips, strict=True)]
        return means[0] if over is None else means[0] - means[1]

    return estimate_from_clips(mean, [side.clusters for side in sides])


def filter_curves(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the activations of each filter in descending order at the given ranks of clips, (filters, ranks)."""
    return -np.sort(-values, axis=0)[ranks].T


def clip_profile(values: np.ndarray) -> np.ndarray:
    """Return mean, lower and upper quartile over clips of the activations sorted within each clip, (3, filters)."""
    descending = -np.sort(-values, axis=1)
    return np.stack([descending.mean(axis=0), *np.quantile(descending, [0.25, 0.75], axis=0)])


def spread_ranks(clips: int, most: int) -> np.ndarray:
    """Return at most so many ranks of clips, evenly from the first to the last, int64 ascending."""
    return np.unique(np.linspace(0, clips - 1, min(clips, most)).round().astype(np.int64))
