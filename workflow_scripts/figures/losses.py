"""Loss of each worker by epoch on a logarithmic scale, a panel per pre-training (Fig. 4 of Wu et al. 2021).

Drawn is the loss times its weight, what the worker adds to the sum that is minimised: with equal weighting the loss
itself, with re-weighting the balanced one. The paper's caption says that its right panel has the balanced losses.
"""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from pydantic import Field

from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, plotting
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, as_table
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

READING = (
    "Logarithmic scale. Drawn is the loss times its weight: with equal weighting the loss itself. "
    "Validation losses, or training losses where nothing was validated; mean over pre-training seeds."
)
METHOD_OF_PRETRAINING = tuple(factor for factor in PRETRAINING if factor != "pretrain_seed")
COLUMNS = (
    "study",
    "panel",
    *METHOD_OF_PRETRAINING,
    "status",
    "reason",
    "split",
    "worker",
    "epoch",
    "loss",
    "weight",
    "drawn",
    "runs",
    "source",
)
PANEL_WIDTH, HEIGHT = 3.6, 3.2  # inches: six curves of twenty epochs can be followed


class Options(LevelOptions):
    """Options of the curves."""

    epochs: int = Field(default=20, ge=1)
    """Number of first epochs that are drawn (the paper's 20)."""
    weighted: bool = True
    """Draw losses times their weights."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """One row per panel, worker and epoch: mean loss and weight over `runs` pre-training seeds, and what is drawn."""
    losses = evidence.losses()
    apart = [factor for factor in METHOD_OF_PRETRAINING if losses[factor].nunique() > 1] or ["weighting"]
    rows = []
    for key, runs in losses.groupby(list(METHOD_OF_PRETRAINING), sort=False):
        levels = dict(zip(METHOD_OF_PRETRAINING, map(str, key), strict=True))
        panel = ", ".join(f"{labels.name(levels[factor])}" for factor in apart)
        shared = {"study": study.name, "panel": panel, **levels, "source": evidence.sources.get(levels["corpus"], "")}
        rows += [shared | row for row in _curves(runs, options)]
    return as_table(rows, COLUMNS)


def _curves(runs: pd.DataFrame, options: Options) -> list[dict[str, object]]:
    split = "valid" if (runs["split"] == "valid").any() else "train"
    kept = runs[(runs["split"] == split) & (runs["epoch"] <= options.epochs)]
    if kept.empty:
        return [{"status": MISSING, "reason": NOT_RUN}]
    kept = kept.assign(drawn=kept["loss"] * kept["weight"] if options.weighted else kept["loss"])
    means = kept.groupby(["worker", "epoch"], sort=False)[["loss", "weight", "drawn"]]
    table = means.mean().assign(runs=means.size()).reset_index()
    return [{"status": MEASURED, "split": split, **row} for row in plotting.dicts(table)]


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw what `numbers` returned."""
    workers = sorted(set(plotting.measured_rows(numbers)["worker"]))
    grouped = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(grouped), width=PANEL_WIDTH, most=2)
    legend_rows = -(-len(workers) // 3)
    size = (max(PANEL_WIDTH * columns, 4.6), HEIGHT * rows + plotting.LEGEND_HEIGHT * legend_rows)
    figure = plotting.new_figure(*size)
    axes = plotting.add_panels(figure, rows, columns, len(grouped), sharey=True)  # so that decades are equally high
    for panel, (label, within) in zip(axes, grouped, strict=True):
        _panel(panel, label, within, workers=workers, options=options)
    handles = [Line2D([], [], label=labels.name(name), **_style(name, workers)) for name in workers]
    plotting.add_legend(figure, handles, columns=min(3, len(workers)))
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, workers: list[str], options: Options) -> None:
    found = plotting.measured_rows(rows)
    title = "\n".join(textwrap.wrap(label, 38))
    plotting.add_grid(panel, lines="y")
    if found.empty:
        panel.set_title(f"{title}\n{next(iter(rows['reason']))}")
        panel.set_xticks([])
        return
    source = next(iter(found["source"]))
    panel.set_title(f"{title} ({source})" if source else title)
    panel.set_yscale("log")
    for name, curve in plotting.groups(found, "worker"):
        panel.plot(curve["epoch"].astype(int), curve["drawn"], **_style(name, workers))
    panel.set_xlim(0.5, max(int(found["epoch"].max()), 2) + 0.5)
    panel.locator_params(axis="x", integer=True, nbins=6)
    panel.set_xlabel("epoch")
    panel.set_ylabel(_said(found, options))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _said(rows: pd.DataFrame, options: Options) -> str:
    """What the vertical axis shows."""
    split = "validation" if next(iter(rows["split"])) == "valid" else "training"
    weighted = options.weighted and (rows["weight"] != 1).any()
    return f"{split} loss times weight" if weighted else f"{split} loss"


def _style(worker: str, workers: list[str]) -> dict[str, Any]:
    """Curves differ in colour, marker and dashes."""
    place = workers.index(worker)
    return {
        "color": plotting.COLOURS[place % len(plotting.COLOURS)],
        "marker": plotting.MARKERS[place % len(plotting.MARKERS)],
        "linestyle": plotting.DASHES[-1 - place % len(plotting.DASHES)],
        "markersize": 4,
        "linewidth": 1.3,
    }


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """First and last value of every curve, and how far the curves lie apart at the end, panel by panel."""
    said = []
    for label, rows in plotting.groups(numbers, "panel"):
        found = plotting.measured_rows(rows)
        if found.empty:
            said.append(f"{label}: {next(iter(rows['reason']))}")
            continue
        curves = {name: curve.sort_values("epoch")["drawn"] for name, curve in plotting.groups(found, "worker")}
        values = "; ".join(f"{labels.name(name)} {c.iloc[0]:.3g} to {c.iloc[-1]:.3g}" for name, c in curves.items())
        last = [curve.iloc[-1] for curve in curves.values()]
        apart = f"; largest over smallest at the end {max(last) / min(last):.3g}" if min(last) > 0 else ""
        said.append(f"{label}, epochs {found['epoch'].min()} to {found['epoch'].max()}: {values}{apart}")
    return f"Loss of each worker as drawn. {'. '.join(said)}."
