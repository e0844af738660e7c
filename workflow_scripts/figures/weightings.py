"""Weightings by worker set: mean and standard deviation, a panel per data set (Fig. 3 of Wu et al. 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import INTERVAL, Evidence, Method, as_table, group_by_panel, method_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Circles: mean. Bars: one standard deviation to each side, between trials (pre-training seeds where there are "
    "several). Open: equal weighting; filled: re-weighted. Lines: floors. Each panel has its own scale. The csv also "
    f"has {INTERVAL}."
)
COLUMNS = method_columns("role", "mean std ci_low ci_high variance_sources replicate")
OPEN = "equal"  # the paper's open circles
FLOOR = "floor"
PANEL_WIDTH, HEIGHT = 3.3, 3.1  # inches: three panels of eight worker sets fit a page
SPREAD = 0.36  # share of a position that the circles of one worker set spread over


class Options(LevelOptions):
    """No options."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:  # noqa: ARG001
    """Return one row per panel, worker set and weighting, then the panel's floors; means in the printed unit."""
    rows = [
        {"study": study.name, "metric": study.metric, "unit": evidence.measure.unit, "panel": label}
        | _row(method, evidence.measure)
        for label, methods in group_by_panel(evidence.methods, varying=("workers", "weighting")).items()
        for method in methods
    ]
    return as_table(rows, COLUMNS)


def _row(method: Method, measure: number_format.Measure) -> dict[str, object]:
    std = _std(method) * measure.scale if method.cells else np.nan
    return method.fields(measure.scale) | {"role": FLOOR if method.floor else "method", "std": std}


def _std(method: Method) -> float:
    """Return the standard deviation over the trials of one pre-training seed, or over the means of several."""
    values = [cell.values for cell in method.cells]
    replicates = values[0] if len(values) == 1 else [trials.mean() for trials in values]
    return float(np.std(replicates, ddof=1)) if len(replicates) > 1 else np.nan


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    trained = numbers[numbers["role"] != FLOOR]
    sets, weightings = (list(dict.fromkeys(trained[factor])) for factor in ("workers", "weighting"))
    floors = list(dict.fromkeys(numbers.loc[numbers["role"] == FLOOR, "encoder"]))
    panels, measure = plotting.groups(numbers, "panel"), number_format.measure(study.metric)
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH)
    figure = plotting.new_figure(max(PANEL_WIDTH * columns, 4.5), HEIGHT * rows + plotting.LEGEND_HEIGHT)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        panel.set_title(plotting.panel_title(label, within))
        plotting.add_grid(panel, lines="y")
        plotting.label_places(panel, [labels.name(name) for name in sets], width=PANEL_WIDTH - 0.7)
        panel.set_ylabel(measure.heading)
        _points(panel, within, sets, weightings, measure)
        for row in plotting.records(plotting.measured_rows(within[within["role"] == FLOOR])):
            panel.axhline(row.mean, zorder=1, **plotting.reference_style(floors.index(row.encoder)))
        if plotting.measured_rows(within).empty:
            panel.set_yticks([])
        else:
            plotting.limit_to_range(panel, "y", measure)
    handles = [
        plotting.legend_handle(labels.name(name), linestyle="none", **_marker(name, weightings)) for name in weightings
    ]
    handles += [
        plotting.legend_handle(f"{labels.name(name)} (floor)", **plotting.reference_style(index))
        for index, name in enumerate(floors)
    ]
    plotting.add_legend(figure, handles, columns=len(handles) if columns > 1 else 2)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _points(
    panel: Axes, rows: pd.DataFrame, sets: list[str], weightings: list[str], measure: number_format.Measure
) -> None:
    trained = rows[rows["role"] != FLOOR]
    for index, name in enumerate(sets):
        of_workers = trained[trained["workers"] == name]
        measured = plotting.measured_rows(of_workers)
        if measured.empty:
            plotting.mark_missing(panel, index, next(iter(of_workers["reason"]), "not planned"))
        for row in plotting.records(measured):
            offset = plotting.spread(weightings.index(row.weighting), len(weightings), SPREAD)
            bars = None if pd.isna(row.std) else plotting.std_bars(row.mean, row.std, measure)
            panel.errorbar(
                index + offset,
                row.mean,
                bars,
                capsize=2,
                linewidth=1.3,
                zorder=3,
                **_marker(row.weighting, weightings),
            )


def _marker(weighting: str, weightings: list[str]) -> dict[str, Any]:
    """Return the style of a weighting: filled and open circles; further weightings differ in their markers too."""
    others = [name for name in weightings if name != OPEN]
    if weighting == OPEN:
        return {"marker": "o", "color": plotting.COLOURS[1], "markerfacecolor": "white", "markersize": 6}
    index = others.index(weighting)
    colour = plotting.COLOURS[(0, 2, 3, 4, 5)[index % 5]]  # the second one is that of the open circles
    return {"marker": plotting.MARKERS[index % len(plotting.MARKERS)], "color": colour, "markersize": 6}


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe mean and standard deviation of every circle, panel by panel."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        measured = plotting.records(plotting.measured_rows(rows))
        return plotting.panel_sentence(label, rows, [f"{_name(row)} {_value(row, measure)}" for row in measured])

    subject = f"{labels.capital(measure.heading)}, mean and standard deviation"
    return plotting.describe_panels(subject, numbers.drop(columns="variance_sources"), sentence)


def _name(row: Any) -> str:
    return labels.name(row.encoder) if row.role == FLOOR else f"{labels.name(row.workers)} {labels.name(row.weighting)}"


def _value(row: Any, measure: number_format.Measure) -> str:
    std = "" if pd.isna(row.std) else f" ± {number_format.number(row.std, measure.decimals)}"
    return f"{number_format.number(row.mean, measure.decimals)}{std}"
