"""Losses of the workers in pre-training: their ratios, their order and their spread (Fig. 4 of Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels import registry
from workflow_scripts.planning.manifest import PlannedCell, PretrainedRun
from workflow_scripts.statistics.estimation import UNLIMITED, ValueRange
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import POINTS, estimate_values
from workflow_scripts.statistics.reproduction.quantity import Quantity

HALF = 50  # percent


def _require_worker(name: str) -> str:
    workers = registry.names("worker")
    if name not in workers:
        raise ValueError(f"{name!r} is not a worker; allowed: {', '.join(workers)}")
    return name


Worker = Annotated[str, AfterValidator(_require_worker)]


class RatioOptions(StrictModel):
    """Options of `loss_ratio`."""

    losses: tuple[Worker, Worker]
    """two workers, the first over the second"""


class WorkerOptions(StrictModel):
    """Options of `loss_majority`."""

    worker: Worker
    """worker whose loss is compared with those of the others"""


class LeadOptions(WorkerOptions):
    """Options of `loss_lead`."""

    end: Literal["largest", "smallest"]
    """compare with the largest or with the smallest of the other losses"""


def loss_ratio(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the orders of magnitude between the validation losses of the two `losses`, the first over the second.

    One value per pre-training seed: the mean over its epochs of the logarithm (base 10) of the ratio of the unweighted
    losses.
    """
    first, second = selection.options.losses
    return _estimate(
        selection,
        results,
        lambda losses, _: float(np.log10(losses[first] / losses[second]).mean()),
        workers=(first, second),
    )


def loss_lead(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the orders of magnitude by which a worker's loss exceeds the largest, or the smallest, of the others.

    Losses are multiplied by their weights. One value per pre-training seed: the mean over its epochs.
    """
    worker, end = selection.options.worker, selection.options.end

    def lead(losses: pd.DataFrame, weights: pd.DataFrame) -> float:
        weighted = losses * weights
        others = weighted.drop(columns=worker)
        reference = others.max(axis=1) if end == "largest" else others.min(axis=1)
        return float(np.log10(weighted[worker] / reference).mean())

    return _estimate(selection, results, lead, workers=(worker,))


def loss_majority(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the points by which a worker's share of the sum that pre-training minimises exceeds half of it.

    One value per pre-training seed: the mean over its epochs.
    """
    worker = selection.options.worker

    def majority(losses: pd.DataFrame, weights: pd.DataFrame) -> float:
        weighted = losses * weights
        return float((PERCENT * weighted[worker] / weighted.sum(axis=1)).mean() - HALF)

    return _estimate(selection, results, majority, workers=(worker,), within=POINTS)


def loss_spread(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the spread of the workers' losses in `of` minus that in `over`, in orders of magnitude.

    The spread is the standard deviation, over the workers, of the logarithm (base 10) of loss times weight: 0 where all
    contribute equally. One value per pre-training seed of both: the mean over its epochs.
    """

    def spread(losses: pd.DataFrame, weights: pd.DataFrame) -> float:
        return float(np.log10(losses * weights).std(axis=1, ddof=0).mean())

    return _estimate(selection, results, spread)


def _estimate(
    selection: Selection,
    results: Results,
    compute: Callable[[pd.DataFrame, pd.DataFrame], float],
    *,
    workers: tuple[str, ...] = (),
    within: ValueRange = UNLIMITED,
) -> Estimate | NoValue:
    """Estimate what `compute` returns for losses and weights (epochs, workers) of each pre-training seed.

    With `over`, the difference of the seeds that both sides have.
    """
    sides = [_values_by_seed(side[0], results, compute, workers) for side in (selection.of, selection.over) if side]
    for side in sides:
        if isinstance(side, NoValue):
            return side
    values, *reference = (side for side in sides if not isinstance(side, NoValue))
    if reference:
        values = {seed: values[seed] - reference[0][seed] for seed in values if seed in reference[0]}
        if not values:
            return NoValue(reason="no pre-training seed in common")
    estimate = estimate_values(
        np.array([*values.values()], np.float64), within, replicate="pretraining seeds", sides=[], results=results
    )
    runs = results.runs(selection.planned_cells)
    sources = results.corpus_sources(run.factors["corpus"] for run in runs)
    return replace(estimate, pretraining_seeds=len(values), sources=tuple(sorted(sources)))


def _values_by_seed(
    cells: tuple[PlannedCell, ...],
    results: Results,
    compute: Callable[[pd.DataFrame, pd.DataFrame], float],
    workers: tuple[str, ...],
) -> dict[str, float] | NoValue:
    """Return the value of each pre-training seed; `NoValue` if the losses of one are not there."""
    runs = results.runs(cells)
    tables = [(run, _read_tables(run, workers, results)) for run in runs]
    if not runs or any(table is None for _, table in tables):
        return NoValue(reason="no validation losses" + (f" of {' and '.join(workers)}" if workers else ""))
    return {run.factors["pretrain_seed"]: compute(*table) for run, table in tables if table is not None}


def _read_tables(
    run: PretrainedRun, workers: tuple[str, ...], results: Results
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return validation losses and weights (epochs, workers) of a run, or None if a worker has none."""
    path: Path = run.folder / result_files.LOSSES
    if not results.manifest.is_recorded(path):
        return None
    require_unchanged(path)
    valid = pd.read_csv(path).query("split == 'valid'")
    losses, weights = (
        valid.pivot_table(index="epoch", columns="worker", values=column) for column in ("loss", "weight")
    )
    return (losses, weights) if len(losses) and {*workers} <= {*losses.columns} else None


QUANTITIES = {
    "loss_ratio": Quantity(
        kind="measured",
        compute=loss_ratio,
        phrase="mean over epochs of the logarithm (base 10) of the ratio of validation losses ({losses}), {of}",
        of_metric=False,
        options=RatioOptions,
    ),
    "loss_lead": Quantity(
        kind="measured",
        compute=loss_lead,
        phrase="loss of {worker} over the {end} of the other losses, {of}, orders of magnitude",
        of_metric=False,
        options=LeadOptions,
    ),
    "loss_majority": Quantity(
        kind="measured",
        compute=loss_majority,
        phrase="share of {worker} in the sum of the losses, {of}, minus 50 %, points",
        of_metric=False,
        options=WorkerOptions,
    ),
    "loss_spread": Quantity(
        kind="measured",
        compute=loss_spread,
        phrase="spread of the losses over the workers, {of} minus {over}, orders of magnitude",
        compares=True,
        of_metric=False,
    ),
}
