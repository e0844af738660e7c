"""Classes of the clips that activate filters most, against those of the test set (Spijkervet 2021, Figs. 7.6, 7.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workflow_scripts.statistics.estimation import (
    CONFIDENCE_LEVEL,
    ConfidenceInterval,
    Estimates,
    estimate_from_clips,
)
from workflow_scripts.statistics.filters.responses import Responses
from workflow_scripts.statistics.filters.strongest import Ranking, occupancy, usable_top

PERCENT = 100
TOP = 100  # clips of each filter: the number of the caption; the text of section 7.4 has 10


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassCounts:
    """Clips with each class among the `top` of each filter.

    `counts` (filters, classes), what is `expected` of any `top` clips (classes,), and the `distinct` clips behind a
    class (classes,): each counts once, however many filters it activates.
    """

    top: int
    counts: np.ndarray
    expected: np.ndarray
    distinct: np.ndarray


def count_classes(responses: Responses, *, top: int = TOP) -> ClassCounts:
    """Count the classes of the clips that activate each filter most."""
    top = usable_top(top, len(responses.values))
    places = occupancy(responses.values, top)
    return ClassCounts(
        top=top,
        counts=places @ responses.tags,
        expected=top * responses.tags.mean(axis=0),
        distinct=(responses.tags & (places.max(axis=0) > 0)[:, None]).sum(axis=0),
    )


def estimate_excess(
    groups: Sequence[np.ndarray],
    facts: np.ndarray,
    *,
    clusters: np.ndarray,
    top: int,
    over: Sequence[np.ndarray] = (),
) -> Estimates:
    """Estimate by how many percent each fact is commoner among the clips that activate filters most.

    `groups` are activations (clips, filters), one array for each group of filters; `facts` (clips, facts) are 0 or 1.
    An excess of 0 is the share in the test set, 100 is twice as often. The estimates are in the order of groups, then
    facts. With `over`, how much higher the excess is than that of other groups, as many, with the same clips.
    """
    top = usable_top(top, len(facts))
    values = facts.astype(np.float64)
    rankings = [Ranking.of_values(group, top) for group in groups]
    reference = [Ranking.of_values(group, top) for group in over]

    def excess(weights: np.ndarray) -> np.ndarray:
        sides = [[ranking.clip_places(weights) for ranking in side] for side in (rankings, reference) if side]
        return _difference([_excess(places, values, weights) for places in sides])

    exact = [[occupancy(group, top).sum(axis=0) for group in side] for side in (groups, over) if len(side)]
    value = _difference([_excess(places, values, np.ones(len(values))) for places in exact])
    return estimate_from_clips(excess, [clusters], value=value)


def excess_interval(estimates: Estimates, place: int, *, level: float = CONFIDENCE_LEVEL) -> ConfidenceInterval:
    """Return the interval of an excess that is no difference of two: none is below -100 %."""
    ci = estimates.interval(place, level=level)
    return replace(ci, low=max(ci.low, -float(PERCENT))) if ci.is_known else ci


def _excess(places: Sequence[np.ndarray], facts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the excess in percent, (groups x facts,), of clips that take these `places` (clips,) in each group."""
    share = weights @ facts / weights.sum()
    shares = np.stack([of_group @ facts / of_group.sum() for of_group in places])
    with np.errstate(divide="ignore", invalid="ignore"):  # not-a-number for a fact that no clip of a resample has
        return (PERCENT * (shares / share - 1)).ravel()


def _difference(sides: Sequence[np.ndarray]) -> np.ndarray:
    return sides[0] if len(sides) == 1 else sides[0] - sides[1]
