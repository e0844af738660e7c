"""Agreement of the same filters on two data sets: do they respond to the same sounds (Spijkervet 2021, section 7.5)?

Each filter has, in each data set, the mean of a measured quality over the clips that activate it most. The agreement is
the rank correlation of these means over the filters. It is compared with that of an untrained encoder, whose filters
respond to level and brightness too, and with that of filters paired at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.estimation import CONFIDENCE_LEVEL, Estimates, ValueRange, estimate_from_clips
from workflow_scripts.statistics.filters.responses import Responses, read_responses
from workflow_scripts.statistics.filters.strongest import Ranking, occupancy, usable_top

TOP = 10  # clips of each filter that one would listen to
MEASURED_BY = "sound_qualities"  # the encoder whose embeddings are a clip's measured qualities
CORRELATION = ValueRange(largest=1, difference=True)
PERMUTATIONS = 1000  # the smallest p is then 0.001


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """An encoder's responses to one data set, and facts about the same clips, (clips, facts)."""

    responses: Responses
    facts: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Null:
    """Agreement of filters that are paired at random, (facts,): the ends of its middle 95 %, and the one-sided p."""

    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def filter_means(side: Side, *, top: int = TOP) -> np.ndarray:
    """Return the mean of each fact over the clips that activate each filter most, (filters, facts)."""
    top = usable_top(top, len(side.facts))
    return occupancy(side.responses.values, top) @ side.facts / top


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation over rows of each column, (columns,); not-a-number for a constant column."""
    ranks = [scipy.stats.rankdata(values, axis=0) for values in (first, second)]
    one, other = (values - values.mean(axis=0) for values in ranks)
    with np.errstate(invalid="ignore"):
        return (one * other).sum(axis=0) / np.sqrt(np.square(one).sum(axis=0) * np.square(other).sum(axis=0))


def estimate_agreement(pair: Sequence[Side], *, over: Sequence[Side] = (), top: int = TOP) -> Estimates:
    """Estimate the agreement of one encoder's filters on two data sets, of each fact and then the mean over the facts.

    With `over`, how much higher it is than that of another encoder with the same clips.
    """
    encoders = [pair, over] if over else [pair]
    rankings = [
        [Ranking.of_values(side.responses.values, usable_top(top, len(side.facts))) for side in sides]
        for sides in encoders
    ]

    def agreement(*weights: np.ndarray) -> np.ndarray:
        of_encoders = []
        for sides, of_encoder in zip(encoders, rankings, strict=True):
            means = [
                ranking.mean_facts(weight, side.facts)
                for side, ranking, weight in zip(sides, of_encoder, weights, strict=True)
            ]
            of_encoders.append(_with_mean(rank_correlation(*means)))
        return of_encoders[0] - of_encoders[1] if over else of_encoders[0]

    exact = [_with_mean(rank_correlation(*(filter_means(side, top=top) for side in sides))) for sides in encoders]
    clusters = [side.responses.clusters for side in pair]
    return estimate_from_clips(agreement, clusters, value=exact[0] - exact[1] if over else exact[0])


def permute_filters(pair: Sequence[Side], *, top: int = TOP) -> Null:
    """Return the agreement, of each fact and of their mean, of filters that are paired at random."""
    first, second = (filter_means(side, top=top) for side in pair)
    rng = np.random.default_rng(0)
    drawn = np.stack([_with_mean(rank_correlation(first, rng.permutation(second))) for _ in range(PERMUTATIONS)])
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    observed = _with_mean(rank_correlation(first, second))
    return Null(low=low, high=high, p=(1 + (drawn >= observed).sum(axis=0)) / (1 + PERMUTATIONS))


def find_coherent(side: Side, *, most: int, top: int = TOP) -> np.ndarray:
    """Return the filters whose most activating clips are most alike, by the variance of the ranks of their facts."""
    top = usable_top(top, len(side.facts))
    ranks = scipy.stats.rankdata(side.facts, axis=0) / len(side.facts)
    places = occupancy(side.responses.values, top) / top
    variance = places @ np.square(ranks) - np.square(places @ ranks)
    return np.argsort(variance.mean(axis=1), kind="stable")[:most]


def _with_mean(values: np.ndarray) -> np.ndarray:
    """Append the mean over the facts that have a value."""
    return np.append(values, np.nanmean(values) if np.isfinite(values).any() else np.nan)


def read_pair(
    encoder_cells: Sequence[PlannedCell],
    cells: Sequence[PlannedCell],
    *,
    first: str,
    measured_by: str = MEASURED_BY,
) -> tuple[Side, Side] | str:
    """Read what an encoder's filters respond to in two data sets, the one called `first` before the other.

    Encoders that are compared need the same order, which an untrained one does not have of its own. `cells` are those
    among which the clips' qualities are found, as embeddings of the encoder `measured_by`. Returns the reason where
    something is missing.
    """
    by_dataset: dict[str, PlannedCell] = {}
    for cell in encoder_cells:
        if cell.job("embed"):
            by_dataset.setdefault(cell.factors["dataset"], cell)
    if len(by_dataset) != 2:
        return f"agreement needs an encoder with two data sets, not {len(by_dataset)}"
    sides = []
    for dataset in sorted(by_dataset, key=lambda name: (name != first, name)):
        responses = read_responses(by_dataset[dataset])
        measuring = [
            cell
            for cell in cells
            if (cell.factors["encoder"], cell.factors["dataset"]) == (measured_by, dataset) and cell.job("embed")
        ]
        qualities = read_responses(measuring[0]) if measuring else None
        if responses is None or qualities is None:
            return (
                f"no embeddings of {dataset} by {measured_by if responses else by_dataset[dataset].factors['encoder']}"
            )
        if list(qualities.names) != list(responses.names):
            return f"{measured_by} and the encoder read other clips of {dataset}"
        sides.append(Side(responses=responses, facts=qualities.values))
    return sides[0], sides[1]
