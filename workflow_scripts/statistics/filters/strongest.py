"""Clips that activate a filter most, their classes and other facts about them (Spijkervet 2021, sections 7.3 to 7.5).

Clips that activate a filter equally, as many do at 0, share the places that are left for them: nothing decides between
them. So a filter that does not respond to anything has the classes of the whole test set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_CLIPS_PER_PLACE = 10  # of a test set: with more places the "most activating" clips would be most of the set
#: ranked clips that a resample may need, per place: the first clips of a filter may all be left out of it
DEPTH_PER_PLACE = 5


def usable_top(top: int, clips: int) -> int:
    """Return the number of places for so many test clips: at most a tenth of them, at least one."""
    return max(1, min(top, clips // LEAST_CLIPS_PER_PLACE))


def occupancy(values: np.ndarray, top: int) -> np.ndarray:
    """Return how much of the first `top` places of each filter each clip has, (filters, clips) from 0 to 1.

    `values` are activations (clips, filters). Each row adds up to `top`; clips that are equal at the last place share.
    """
    by_filter = values.T
    last = -np.partition(-by_filter, top - 1, axis=1)[:, top - 1, None]
    above, equal = by_filter > last, by_filter == last
    left = top - above.sum(axis=1, keepdims=True)
    return above + equal * (left / equal.sum(axis=1, keepdims=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """First clips of each filter, `order` (filters, depth), from which resamples of the clips take `top` places.

    Clips that are equal are in a random order, another for each filter: good enough for a standard error.
    """

    order: np.ndarray
    top: int

    @classmethod
    def of_values(cls, values: np.ndarray, top: int) -> Ranking:
        """Rank the clips of activations (clips, filters)."""
        rng = np.random.default_rng(0)
        depth = min(len(values), DEPTH_PER_PLACE * top)
        order = np.stack(
            [np.lexsort((rng.random(len(values)), -values[:, index]))[:depth] for index in range(values.shape[1])]
        )
        return cls(order=order, top=top)

    def places(self, weights: np.ndarray) -> np.ndarray:
        """Return the places of the ranked clips, (filters, depth), if each clip occurs `weights` (clips,) times."""
        of_ranked = weights[self.order]
        before = np.cumsum(of_ranked, axis=1) - of_ranked
        return np.clip(self.top - before, 0, of_ranked)

    def mean_facts(self, weights: np.ndarray, facts: np.ndarray) -> np.ndarray:
        """Return the mean of `facts` (clips, facts) over the places of each filter, (filters, facts), in a resample."""
        places = self.places(weights)
        total = np.maximum(places.sum(axis=1, keepdims=True), 1e-12)  # 0 only if no ranked clip is in the resample
        return np.einsum("fd,fdq->fq", places / total, facts[self.order])

    def clip_places(self, weights: np.ndarray) -> np.ndarray:
        """Return the places of each clip over all filters, (clips,), in a resample."""
        return np.bincount(self.order.ravel(), self.places(weights).ravel(), minlength=len(weights))
