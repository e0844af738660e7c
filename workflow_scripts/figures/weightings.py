"""Weightings by worker set: mean and standard deviation, a panel per data set (Fig. 3 of Wu et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.report import figures, words
from workflow_scripts.report.evidence import Evidence, Method, frame, panels
from workflow_scripts.statistics.cells import summarise
from workflow_scripts.statistics.plan import Study
from workflow_scripts.statistics.summary import METHOD_FACTORS

READING = (
    "Circles: mean; bars: one standard deviation to each side, over trials (over checkpoints where there are several). "
    "Open: equal weighting; filled: re-weighted. Lines: floors. The scales of the panels differ."
)
COLUMNS = (
    *("study", "metric", "unit", "panel", "role", *METHOD_FACTORS, "status", "reason", "mean", "sd", "low", "high"),
    *("replicate", "trials", "checkpoints", "test_clips", "source", "data"),
)
OPEN = "equal"  # the paper's open circles
FLOOR = "floor"
PANEL_WIDTH, HEIGHT = 3.3, 3.1  # inches: three panels of eight worker sets fit a page
BESIDE = 0.36  # share of a place that the circles of one worker set spread over


@dataclass(frozen=True, kw_only=True)
class Options:
    """No options."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:  # noqa: ARG001
    """One row per panel, worker set and weighting, then the floors of the panel; the mean in the printed unit."""
    rows = [
        {"study": study.name, "metric": study.metric, "unit": evidence.measure.unit, "panel": label}
        | _row(method, evidence.measure)
        for label, methods in panels(evidence.methods, drawn=("workers", "weighting")).items()
        for method in methods
    ]
    return frame(rows, COLUMNS)


def _row(method: Method, measure: words.Measure) -> dict[str, object]:
    row = method.facts | {"role": FLOOR if method.floor else "method"}
    if not method.cells:
        return row
    replicate, interval = summarise(method.cells)
    scaled = {name: getattr(interval, name) * measure.scale for name in ("mean", "sd", "low", "high")}
    return row | scaled | {"replicate": replicate}


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw what `numbers` returned."""
    trained = numbers[numbers["role"] != FLOOR]
    sets, weightings = (list(dict.fromkeys(trained[factor])) for factor in ("workers", "weighting"))
    floors = list(dict.fromkeys(numbers.loc[numbers["role"] == FLOOR, "encoder"]))
    grouped = figures.groups(numbers, "panel")
    rows, columns = figures.grid_of(len(grouped), width=PANEL_WIDTH)
    figure = figures.blank(max(PANEL_WIDTH * columns, 4.5), HEIGHT * rows + figures.LEGEND_HEIGHT)
    axes = figures.panels(figure, rows, columns, len(grouped))
    for panel, (label, within) in zip(axes, grouped, strict=True):
        panel.set_title(figures.panel_title(label, within))
        figures.tidy(panel, lines="y")
        figures.label_places(panel, [words.name(name) for name in sets], width=PANEL_WIDTH - 0.7)
        panel.set_ylabel(words.measure(study.metric).heading)
        _points(panel, within, sets, weightings)
        for row in figures.records(figures.measured(within[within["role"] == FLOOR])):
            panel.axhline(row.mean, zorder=1, **figures.reference_line(floors.index(row.encoder)))
        if figures.measured(within).empty:
            panel.set_yticks([])
    handles = [
        Line2D([], [], linestyle="none", label=words.name(name), **_marker(name, weightings)) for name in weightings
    ]
    handles += [
        Line2D([], [], label=f"{words.name(name)} (floor)", **figures.reference_line(place))
        for place, name in enumerate(floors)
    ]
    figures.legend(figure, handles, columns=len(handles) if columns > 1 else 2)
    figures.heading(figure, study.title, numbers["source"])
    return figure


def _points(panel: Axes, rows: pd.DataFrame, sets: list[str], weightings: list[str]) -> None:
    trained = rows[rows["role"] != FLOOR]
    for place, name in enumerate(sets):
        here = trained[trained["workers"] == name]
        found = figures.measured(here)
        if found.empty:
            figures.missing(panel, place, next(iter(here["reason"]), "not planned"))
        for row in figures.records(found):
            beside = (
                (weightings.index(row.weighting) - (len(weightings) - 1) / 2) * BESIDE / max(len(weightings) - 1, 1)
            )
            error = None if pd.isna(row.sd) else row.sd
            panel.errorbar(
                *(place + beside, row.mean, error),
                capsize=2,
                linewidth=1.3,
                zorder=3,
                **_marker(row.weighting, weightings),
            )


def _marker(weighting: str, weightings: list[str]) -> dict[str, Any]:
    """Filled and open circles; further weightings differ in their markers too."""
    others = [name for name in weightings if name != OPEN]
    if weighting == OPEN:
        return {"marker": "o", "color": figures.COLOURS[1], "markerfacecolor": "white", "markersize": 6}
    place = others.index(weighting)
    colour = figures.COLOURS[(0, 2, 3, 4, 5)[place % 5]]  # the second one is that of the open circles
    return {"marker": figures.MARKERS[place % len(figures.MARKERS)], "color": colour, "markersize": 6}


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Mean and deviation of every circle, panel by panel."""
    measure = words.measure(study.metric)
    said = []
    for label, rows in figures.groups(numbers, "panel"):
        found = figures.measured(rows)
        values = "; ".join(f"{_name(row)} {_value(row, measure)}" for row in figures.records(found))
        said.append(f"{figures.panel_title(label, rows).splitlines()[0]}: {values or 'nothing measured'}")
    return f"{words.capital(measure.heading)}, mean and standard deviation. {'. '.join(said)}."


def _name(row: Any) -> str:
    return words.name(row.encoder) if row.role == FLOOR else f"{words.name(row.workers)} {words.name(row.weighting)}"


def _value(row: Any, measure: words.Measure) -> str:
    deviation = "" if pd.isna(row.sd) else f" ± {words.number(row.sd, measure.decimals)}"
    return f"{words.number(row.mean, measure.decimals)}{deviation}"
