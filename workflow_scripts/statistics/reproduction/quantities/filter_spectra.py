"""Spectra of filters by gradient ascent (Spijkervet 2021, Figs. 7.1 and 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workflow_scripts.configuration.study import FILTERS
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels.factors import NONE
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.estimation import UNLIMITED, ValueRange
from workflow_scripts.statistics.filter_spectra import Layer, LayerSpectra, Objective, read_spectra
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import POINTS, estimate_values
from workflow_scripts.statistics.reproduction.quantity import Quantity


class LayerOptions(StrictModel):
    """Options of quantities of filters."""

    layer: Layer
    """convolution, counted from 1"""
    objective: Objective = "mean"
    """response that the waves climb"""


def filter_line_share(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the percent of the filters that peak at multiples of sample rate over stride, `of` minus `over`.

    One value per filter of one pre-training seed: the interval is for other filters like these.
    """
    spectra = _read_steps([selection.of[0], selection.over[0]], selection, results)
    if isinstance(spectra, NoValue):
        return spectra
    of, over = ([layer.on_line.astype(float) for layer in side] for side in spectra)
    values = PERCENT * (np.mean(of, axis=0) - np.mean(over, axis=0))
    return _estimate(values, selection, results, within=POINTS, replicate="filters")


def filter_spread(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return how much better the sorted peaks of a layer's filters fit a straight line than a logarithmic one.

    The difference of the two correlations of place and peak, one per pre-training seed.
    """
    spectra = _read_steps([selection.of[0]], selection, results)
    if isinstance(spectra, NoValue):
        return spectra
    fits = [layer.fits for layer in spectra[0]]
    return _estimate([fit.linear - fit.logarithmic for fit in fits], selection, results)


def filter_peak_distance(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the distance in Hz of the sorted peaks of the first step of `of` from `over`, minus that of the others.

    The mean over the filters, one value per pre-training seed of the first step.
    """
    of = _read_steps(selection.of, selection, results)
    over = _read_steps(selection.over, selection, results)
    if isinstance(of, NoValue):
        return of
    if isinstance(over, NoValue):
        return over
    if len(of) < 2:
        return NoValue(reason="the study has no such cell")
    first, *others = (
        [_distance(layer, reference[0]) for layer in side] for side, reference in zip(of, over, strict=True)
    )
    return _estimate(np.array(first) - np.mean(others), selection, results)


def _distance(layer: LayerSpectra, other: LayerSpectra) -> float:
    return float(np.abs(np.sort(layer.peaks) - np.sort(other.peaks)).mean())


def _read_steps(
    steps: Sequence[Sequence[PlannedCell]], selection: Selection, results: Results
) -> list[list[LayerSpectra]] | NoValue:
    """Return the spectra of each step's cells, one for each pre-training seed."""
    options: LayerOptions = selection.options
    read: list[list[LayerSpectra]] = []
    for cells in steps:
        jobs = [cell.job(FILTERS) for cell in cells]
        paths = [job.output for job in jobs if job is not None and results.manifest.is_recorded(job.output)]
        if not cells or len(paths) < len(cells):
            return NoValue(reason="no spectra of filters")
        layers = [read_spectra(path, layer=options.layer, objective=options.objective) for path in paths]
        if None in layers:
            return NoValue(reason=f"no layer {options.layer}")
        read.append([layer for layer in layers if layer is not None])
    return read


def _estimate(
    values: Sequence[float] | np.ndarray,
    selection: Selection,
    results: Results,
    *,
    within: ValueRange = UNLIMITED,
    replicate: str = "pretraining seeds",
) -> Estimate:
    estimate = estimate_values(np.asarray(values, np.float64), within, replicate=replicate, sides=[], results=results)
    cells = selection.planned_cells
    names = {cell.factors["corpus"] for cell in cells} - {NONE} or {cell.factors["dataset"] for cell in cells}
    return replace(
        estimate,
        pretraining_seeds=len({cell.factors["pretrain_seed"] for cell in selection.of[0]}),
        sources=tuple(sorted(results.corpus_sources(names))),
    )


QUANTITIES = {
    "filter_line_share": Quantity(
        kind="measured",
        compute=filter_line_share,
        phrase="filters of layer {layer} that peak at multiples of sample rate over stride (objective {objective}), "
        "percent of {of} minus percent of {over}",
        compares=True,
        of_metric=False,
        options=LayerOptions,
    ),
    "filter_spread": Quantity(
        kind="measured",
        compute=filter_spread,
        phrase="sorted peaks of the filters of layer {layer} of {of} (objective {objective}): correlation with their "
        "places minus that of their logarithms",
        of_metric=False,
        options=LayerOptions,
    ),
    "filter_peak_distance": Quantity(
        kind="measured",
        compute=filter_peak_distance,
        phrase="distance of the sorted peaks of the filters of layer {layer} (objective {objective}) from {over}, Hz: "
        "the first of {of} minus the others",
        compares=True,
        averages=True,
        of_metric=False,
        options=LayerOptions,
    ),
}
