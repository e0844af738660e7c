"""Measured quantities about the filters of an encoder, with an interval over clusters of test clips (B, chapter 7).

Of several pre-training seeds the first counts: filters of different seeds have nothing in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels.factors import NONE, PRETRAINING
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.estimation import TEST_SET, Estimates
from workflow_scripts.statistics.filters import activations, agreement, class_counts, factors
from workflow_scripts.statistics.filters.agreement import Side, read_pair
from workflow_scripts.statistics.filters.responses import Responses, read_responses
from workflow_scripts.statistics.reproduction.context import Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import LEVELS, require_named
from workflow_scripts.statistics.reproduction.quantity import Quantity
from workflow_scripts.statistics.samples import differing_factors

ENCODED = (*PRETRAINING, "dataset")  # factors that identify embeddings
NOT_RUN = "no embeddings of the test clips"
OTHER_CLIPS = "`of` and `over` have other test clips"


class ClassOptions(StrictModel):
    """Options of quantities about clips of some classes."""

    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    """classes of which a clip has at least one"""


def active_share_gain(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the share of filters that respond to a clip, in percent, of `of` minus that of `over`."""
    return _activation_gain(selection, results, "active_share")


def effective_filters_gain(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the effective number of filters that respond to a clip of `of` minus that of `over`."""
    return _activation_gain(selection, results, "effective_filters")


def class_excess(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the excess of clips of `classes` among those that activate filters most, percent over the test set.

    0 is as often as in the test set, 100 twice as often.
    """
    return _class_excess(selection, results, groups=_all_filters, top=class_counts.TOP)


def class_excess_gain(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the same excess of `of` minus that of `over`, such as an untrained encoder, with the same clips."""
    return _class_excess(selection, results, groups=_all_filters, top=class_counts.TOP)


def factor_class_excess(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the excess of clips of `classes` among those that activate the strongest filters of a factor most.

    The factor is that of the three with the lowest interval: if the claim holds of it, it holds of all.
    """
    return _class_excess(selection, results, groups=_factor_groups, top=factors.TOP)


def factor_class_excess_gain(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the same excess of `of` minus that of `over`, first factor against first factor, and so on."""
    return _class_excess(selection, results, groups=_factor_groups, top=factors.TOP)


def filter_agreement(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the rank correlation over filters between the two data sets in `of`, as a mean over measured qualities.

    The qualities are means over the clips that activate each filter most.
    """
    return _agreement(selection, results, choose=_last)


def filter_agreement_gain(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the same rank correlation of `of` minus that of `over`, such as an untrained encoder."""
    return _agreement(selection, results, choose=_last)


def weakest_filter_agreement(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the same rank correlation of the quality with the lowest interval."""
    return _agreement(selection, results, choose=_lowest_but_last)


def _activation_gain(selection: Selection, results: Results, measure: str) -> Estimate | NoValue:
    cells = [_first_cell(side[0], selection) for side in (selection.of, selection.over)]
    sides = [read_responses(cell) for cell in cells]
    if any(side is None for side in sides):
        return NoValue(reason=NOT_RUN)
    of, over = (side for side in sides if side is not None)
    estimates = results.compute_once(("activations", *_keys(cells)), lambda: activations.estimate_measures(of, over))
    return _estimate(estimates, list(activations.MEASURES).index(measure), cells, [of, over], results)


def _class_excess(
    selection: Selection, results: Results, *, groups: Callable[[Responses], list[np.ndarray]], top: int
) -> Estimate | NoValue:
    cells = [_first_cell(side[0], selection) for side in (selection.of, selection.over) if side]
    read = [read_responses(cell) for cell in cells]
    if any(side is None for side in read):
        return NoValue(reason=NOT_RUN)
    sides = [side for side in read if side is not None]
    responses = sides[0]
    if any(list(side.names) != list(responses.names) for side in sides):
        return NoValue(reason=OTHER_CLIPS)
    classes = selection.options.classes
    unknown = [name for name in classes if name not in responses.facts.classes]
    if unknown:
        return NoValue(reason=f"{responses.facts.dataset} has no class {', '.join(unknown)}")
    estimates = results.compute_once(
        (groups.__name__, top, classes, *_keys(cells)),
        lambda: class_counts.estimate_excess(
            groups(responses),
            responses.has_any(classes)[:, None],
            clusters=responses.clusters,
            top=top,
            over=[group for side in sides[1:] for group in groups(side)],
        ),
    )
    return _estimate(estimates, _lowest(estimates), cells, sides, results)


def _all_filters(responses: Responses) -> list[np.ndarray]:
    return [responses.values]


def _factor_groups(responses: Responses) -> list[np.ndarray]:
    """Return the activations of the strongest filters of each factor."""
    analysis = factors.analyse_factors(responses.values)
    return [responses.values[:, analysis.strongest(component)] for component in range(factors.COMPONENTS)]


def _agreement(selection: Selection, results: Results, *, choose: Callable[[Estimates], int]) -> Estimate | NoValue:
    pairs: list[tuple[Side, Side]] = []
    encoders = [side[0] for side in (selection.of, selection.over) if side]
    first = encoders[0][0].factors["corpus"] if encoders[0] else ""
    for of_encoder in encoders:
        require_named([factor for factor in differing_factors(of_encoder) if factor in PRETRAINING], selection)
        pair = read_pair(of_encoder, results.manifest.cells, first=first)
        if isinstance(pair, str):
            return NoValue(reason=pair)
        pairs.append(pair)
    if any(_clips(pair) != _clips(pairs[0]) for pair in pairs):
        return NoValue(reason=OTHER_CLIPS)
    estimates = results.compute_once(
        ("agreement", *(tuple(_keys(of_encoder)) for of_encoder in encoders)),
        lambda: agreement.estimate_agreement(pairs[0], over=pairs[1] if len(pairs) > 1 else ()),
    )
    cells = [of_encoder[0] for of_encoder in encoders]
    return _estimate(estimates, choose(estimates), cells, [side.responses for side in pairs[0]], results)


def _clips(pair: Sequence[Side]) -> list[tuple[str, list[str]]]:
    return [(side.responses.facts.dataset, list(side.responses.names)) for side in pair]


def _last(estimates: Estimates) -> int:
    return len(estimates.values) - 1


def _lowest(estimates: Estimates) -> int:
    """Return the place of the estimate with the lowest interval; the first without one is undecided and counts."""
    lows = [estimates.interval(place).low for place in range(len(estimates.values))]
    unknown = np.flatnonzero(~np.isfinite(lows))
    return int(unknown[0]) if len(unknown) else int(np.argmin(lows))


def _lowest_but_last(estimates: Estimates) -> int:
    return _lowest(
        Estimates(values=estimates.values[:-1], std_errors=estimates.std_errors, clusters=estimates.clusters)
    )


def _first_cell(planned_cells: Sequence[PlannedCell], selection: Selection) -> PlannedCell:
    """Return the first of cells with the same embeddings; `UserError` if they are of several encoders or data sets."""
    require_named([factor for factor in differing_factors(planned_cells) if factor in ENCODED], selection)
    return next((cell for cell in planned_cells if cell.job("embed")), planned_cells[0])


def _keys(cells: Sequence[PlannedCell]) -> list[tuple[str, ...]]:
    return [cell.key for cell in cells]


def _estimate(
    estimates: Estimates, number: int, cells: Sequence[PlannedCell], sides: Sequence[Responses], results: Results
) -> Estimate:
    ci, ci90 = (estimates.interval(number, level=level) for level in LEVELS)
    trained = [cell for cell in cells if cell.factors[PRETRAINING[0]] != NONE]
    sources = {side.facts.source for side in sides} | results.corpus_sources(cell.factors["corpus"] for cell in cells)
    return Estimate(
        value=float(estimates.values[number]),
        ci=ci,
        ci90=ci90,
        variance_sources=(TEST_SET,) if ci.is_known else (),
        replicate="clusters",
        n=estimates.clusters,
        pretraining_seeds=1 if trained else 0,
        sources=tuple(sorted(sources)),
    )


def _about_filters(compute: Callable[[Selection, Results], Estimate | NoValue], phrase: str, **more: Any) -> Quantity:
    return Quantity(kind="measured", compute=compute, phrase=phrase, of_metric=False, **more)


QUANTITIES = {
    "active_share_gain": _about_filters(
        active_share_gain, "filters that respond to a clip, percent: {of} minus {over}", compares=True
    ),
    "effective_filters_gain": _about_filters(
        effective_filters_gain, "effective number of filters that respond to a clip: {of} minus {over}", compares=True
    ),
    "class_excess": _about_filters(
        class_excess,
        "how many percent more often than in the test set clips that activate filters most have {classes}: {of}",
        options=ClassOptions,
    ),
    "class_excess_gain": _about_filters(
        class_excess_gain,
        "how many percent more often than in the test set clips that activate filters most have {classes}: {of} minus "
        "{over}",
        compares=True,
        options=ClassOptions,
    ),
    "factor_class_excess": _about_filters(
        factor_class_excess,
        "how many percent more often than in the test set clips that activate the strongest filters of a factor most "
        "have {classes}: {of}, the factor with the lowest interval",
        options=ClassOptions,
    ),
    "factor_class_excess_gain": _about_filters(
        factor_class_excess_gain,
        "how many percent more often than in the test set clips that activate the strongest filters of a factor most "
        "have {classes}: {of} minus {over}, the factor with the lowest interval",
        compares=True,
        options=ClassOptions,
    ),
    "filter_agreement": _about_filters(
        filter_agreement,
        "rank correlation over filters of what their most activating clips of two data sets sound like, mean of the "
        "measured qualities: {of}",
    ),
    "filter_agreement_gain": _about_filters(
        filter_agreement_gain,
        "rank correlation over filters of what their most activating clips of two data sets sound like, mean of the "
        "measured qualities: {of} minus {over}",
        compares=True,
    ),
    "weakest_filter_agreement": _about_filters(
        weakest_filter_agreement,
        "rank correlation over filters of what their most activating clips of two data sets sound like: {of}, the "
        "quality with the lowest interval",
    ),
}
