"""Loss of each worker by epoch, a panel per pre-training (Fig. 4 of Wu et al. 2021).

The value is the loss times its weight, the worker's share of the minimised sum: with equal weighting the loss itself,
with re-weighting the balanced loss, as in the right panel of the paper's figure.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import Field

from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, line_charts, plotting
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, as_table
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Logarithmic scale where losses span a decade. Curves: loss times its weight; with equal weighting the loss "
    "itself. Validation losses, or training losses where nothing was validated. Mean over pre-training seeds, without "
    "intervals. Each panel has its own scale."
)
METHOD_OF_PRETRAINING = tuple(factor for factor in PRETRAINING if factor != "pretrain_seed")
COLUMNS = (
    *"study panel".split(),
    *METHOD_OF_PRETRAINING,
    *"status reason split worker epoch loss weight value runs source".split(),
)
PANEL_WIDTH, HEIGHT = 3.6, 3.2  # inches: six curves of twenty epochs can be followed


class Options(LevelOptions):
    """Options of the curves."""

    epochs: int = Field(default=20, ge=1)
    """Number of the first epochs that are drawn (the paper's 20)."""
    weighted: bool = True
    """Draw losses times their weights."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel, worker and epoch: mean loss, weight and drawn `value` over `runs` seeds."""
    losses = evidence.losses()
    panel_factors = [factor for factor in METHOD_OF_PRETRAINING if losses[factor].nunique() > 1] or ["weighting"]
    rows = []
    for key, runs in losses.groupby(list(METHOD_OF_PRETRAINING), sort=False):
        levels = dict(zip(METHOD_OF_PRETRAINING, map(str, key), strict=True))
        panel = ", ".join(f"{labels.name(levels[factor])}" for factor in panel_factors)
        shared = {"study": study.name, "panel": panel, **levels, "source": evidence.sources.get(levels["corpus"], "")}
        rows += [shared | row for row in _curves(runs, options)]
    return as_table(rows, COLUMNS)


def _curves(runs: pd.DataFrame, options: Options) -> list[dict[str, object]]:
    split = "valid" if (runs["split"] == "valid").any() else "train"
    losses = runs[(runs["split"] == split) & (runs["epoch"] <= options.epochs)]
    if losses.empty:
        return [{"status": MISSING, "reason": NOT_RUN}]
    losses = losses.assign(value=losses["loss"] * losses["weight"] if options.weighted else losses["loss"])
    means = losses.groupby(["worker", "epoch"], sort=False)[["loss", "weight", "value"]]
    table = means.mean().assign(runs=means.size()).reset_index()
    return [{"status": MEASURED, "split": split, **row} for row in plotting.dicts(table)]


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw the figure of the table `numbers`."""
    workers = sorted(set(plotting.measured_rows(numbers)["worker"]))
    panels = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH, max_columns=2)
    legend_rows = -(-len(workers) // 3)
    size = (max(PANEL_WIDTH * columns, 4.6), HEIGHT * rows + plotting.LEGEND_HEIGHT * legend_rows)
    figure = plotting.new_figure(*size)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within, workers=workers, options=options)
    handles = [plotting.legend_handle(labels.name(name), **_style(name, workers)) for name in workers]
    plotting.add_legend(figure, handles, columns=min(3, len(workers)))
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, workers: list[str], options: Options) -> None:
    measured = plotting.measured_rows(rows)
    title = "\n".join(textwrap.wrap(label, 38))
    plotting.add_grid(panel, lines="y")
    if measured.empty:
        panel.set_title(f"{title}\n{next(iter(rows['reason']))}")
        panel.set_xticks([])
        return
    source = next(iter(measured["source"]))
    panel.set_title(f"{title} ({source})" if source else title)
    if measured["value"].max() > line_charts.LOG_RANGE * measured["value"].min():
        panel.set_yscale("log")
        plotting.hide_minor_labels(panel)
    for name, curve in plotting.groups(measured, "worker"):
        panel.plot(curve["epoch"].astype(int), curve["value"], **_style(name, workers))
    panel.set_xlim(0.5, max(int(measured["epoch"].max()), 2) + 0.5)
    panel.locator_params(axis="x", integer=True, nbins=6)
    panel.set_xlabel("epoch")
    panel.set_ylabel(_axis_label(measured, options))


def _axis_label(rows: pd.DataFrame, options: Options) -> str:
    split = "validation" if next(iter(rows["split"])) == "valid" else "training"
    weighted = options.weighted and (rows["weight"] != 1).any()
    return f"{split} loss times weight" if weighted else f"{split} loss"


def _style(worker: str, workers: list[str]) -> dict[str, Any]:
    """Return the style of a worker's curve: colour, marker and dashes differ."""
    index = workers.index(worker)
    return {
        "color": plotting.COLOURS[index % len(plotting.COLOURS)],
        "marker": plotting.MARKERS[index % len(plotting.MARKERS)],
        "linestyle": plotting.DASHES[-1 - index % len(plotting.DASHES)],
        "markersize": 4,
        "linewidth": 1.3,
    }


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the first and last value of every curve and the ratio of the last values, panel by panel."""
    return plotting.describe_panels("Loss of each worker as drawn", numbers, _sentence)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return f"{label}: {next(iter(rows['reason']))}"
    curves = {name: curve.sort_values("epoch")["value"] for name, curve in plotting.groups(measured, "worker")}
    values = [f"{labels.name(name)} {curve.iloc[0]:.3g} to {curve.iloc[-1]:.3g}" for name, curve in curves.items()]
    last = [curve.iloc[-1] for curve in curves.values()]
    if min(last) > 0:
        values.append(f"largest over smallest at the end {max(last) / min(last):.3g}")
    return f"{label}, epochs {measured['epoch'].min()} to {measured['epoch'].max()}: {'; '.join(values)}"
