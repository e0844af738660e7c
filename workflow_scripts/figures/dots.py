"""A dot with its interval per method and a line per baseline; a panel per column of the table.

Based on Fig. 2 of Wu et al. (2021) and Fig. 6.3 of Spijkervet (2021), with horizontal intervals so that the names of
any number of methods can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import INTERVAL, Evidence, as_table, method_columns
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.report.study_table import FROM_SCRATCH
from workflow_scripts.statistics.failure_reasons import in_short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    f"Dots: mean with {INTERVAL}. Open dots: baselines, such as training from scratch and floors; a vertical line "
    "through each leads up to the other methods. Each panel has its own horizontal scale."
)
COLUMNS = method_columns("method role", "mean ci_low ci_high half_width variance_sources replicate")
METHOD, REFERENCE, FLOOR = "method", "reference", "floor"
PANEL_WIDTH, ROW_HEIGHT = 2.5, 0.42  # inches: three panels fit a page's width, a label fits its row
MIN_WIDTH = 4.5  # inches: the note on twins
MARGIN_HEIGHT = 1.05  # inches: panel titles and axis


class Options(LevelOptions):
    """Options of the line across each panel."""

    line: Mapping[str, str | int] = {}
    """Levels of further methods that are drawn as a line, besides training from scratch; none by default."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per entry of the study's table, floors last."""
    entries = evidence.entries
    for column, factors in (("panel", study.columns), ("method", study.rows)):
        entries[column] = [plotting.level_names(entry, factors) for entry in plotting.dicts(entries)]
    entries["role"] = METHOD
    entries.loc[entries["scenario"] == FROM_SCRATCH, "role"] = REFERENCE
    if options.line:
        selected = [entries[factor] == str(level) for factor, level in options.line.items()]
        entries.loc[np.logical_and.reduce(selected), "role"] = REFERENCE
    entries.loc[entries["kind"] == "floor", "role"] = FLOOR
    entries = entries.sort_values("role", key=lambda role: role == FLOOR, kind="stable")
    return as_table(plotting.dicts(entries), COLUMNS)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    distinct = numbers.drop_duplicates("method")
    methods = distinct[distinct["role"] == METHOD] if (distinct["role"] == METHOD).any() else distinct
    references = distinct[~distinct["method"].isin(methods["method"])]
    styles = _styles(study, distinct, references)
    panels = plotting.groups(numbers, "panel")
    rows_of = pd.concat([methods, references])
    names = [f"{row.method}{' (floor)' if row.role == FLOOR else ''}" for row in plotting.records(rows_of)]
    height = MARGIN_HEIGHT + ROW_HEIGHT * max(len(names), 2)
    labels_width = plotting.CHARACTER_WIDTH * max(map(len, names))
    figure = plotting.new_figure(max(labels_width + PANEL_WIDTH * len(panels), MIN_WIDTH), height)
    axes = plotting.add_panels(figure, 1, len(panels), len(panels), sharey=True)
    heights = {method: height for height, method in enumerate(rows_of["method"])}
    for panel, (label, rows) in zip(axes, panels, strict=True):
        _panel(panel, rows, heights, styles, study)
        panel.set_title(plotting.panel_title(label, rows))
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _styles(study: Study, methods: pd.DataFrame, references: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the style of each method: its first factor decides the colour, its last one the marker.

    Lines have the colour of their first factor too, so that training from scratch matches the same encoder's dots.
    Lines differ in dashes, which survive grey printing; floors are grey.
    """
    trained = methods[methods["role"] != FLOOR]
    first = list(dict.fromkeys(trained[study.rows[0]]))
    last = list(dict.fromkeys(methods[study.rows[-1]]))
    lines = list(references["method"])
    styles: dict[str, dict[str, Any]] = {}
    for record in plotting.dicts(methods):
        floor = record["role"] == FLOOR
        colour = (
            plotting.GREY if floor else plotting.COLOURS[first.index(record[study.rows[0]]) % len(plotting.COLOURS)]
        )
        if record["method"] in lines:
            dashes = plotting.DASHES[lines.index(record["method"]) % len(plotting.DASHES)]
            styles[record["method"]] = {"color": colour, "linestyle": dashes, "linewidth": 1.6}
        else:
            marker = plotting.MARKERS[last.index(record[study.rows[-1]]) % len(plotting.MARKERS)]
            styles[record["method"]] = {"color": colour, "fmt": marker}
    return styles


def _panel(
    panel: Axes, rows: pd.DataFrame, heights: dict[str, int], styles: dict[str, dict[str, Any]], study: Study
) -> None:
    measure = number_format.measure(study.metric)
    measured = plotting.measured_rows(rows)
    for row in plotting.records(measured):
        style, height = styles[row.method], heights[row.method]
        if "fmt" not in style:
            panel.plot([row.mean, row.mean], [height, -0.6], zorder=1, **style)
            style = {"color": style["color"], "fmt": "o", "markerfacecolor": "white"}
        _dot(panel, row, height=height, style=style, measure=measure)
    for method, height in heights.items():
        absent = rows[(rows["method"] == method)]
        if not measured["method"].eq(method).any():
            _absent(panel, height, next(iter(absent["reason"]), "not planned"))
    if measured.empty:
        panel.set_xticks([])
    else:
        panel.locator_params(axis="x", nbins=5)
    panel.set_xlabel(measure.heading)
    panel.margins(x=0.12)
    plotting.limit_to_range(panel, "x", measure)
    plotting.add_grid(panel, lines="y")
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)


def _dot(panel: Axes, row: Any, *, height: int, style: dict[str, Any], measure: number_format.Measure) -> None:
    bars = None if pd.isna(row.ci_low) else [[row.mean - row.ci_low], [row.ci_high - row.mean]]
    panel.errorbar(row.mean, height, xerr=bars, markersize=6, capsize=3, linewidth=1.4, zorder=3, **style)
    panel.annotate(
        _number(row, measure),
        (row.mean, height),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8,
        path_effects=plotting.halo(),
        zorder=4,
    )


def _number(row: Any, measure: number_format.Measure) -> str:
    """Return a mean, with a mark if others trained the encoder on the data."""
    text = number_format.number(row.mean, measure.decimals)
    return f"{text} {ON_TRAINING_DATA}" if row.tested_on_training_data == "yes" else text


def _absent(panel: Axes, height: int, reason: str) -> None:
    panel.text(
        0.5,
        height,
        in_short(reason),
        transform=panel.get_yaxis_transform(),
        ha="center",
        va="center",
        color=plotting.GREY,
        style="italic",
        bbox=plotting.BEHIND_TEXT,
    )


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe every mean, panel by panel."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        measured = plotting.records(plotting.measured_rows(rows))
        means = [f"{row.method} {_number(row, measure)}" for row in measured]
        return plotting.panel_sentence(label, rows, means)

    return plotting.describe_panels(labels.capital(measure.heading), numbers, sentence)
