"""Places of the methods by their mean over the data sets, with intervals of places, and bars that join ties."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, as_table
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.tables.ranks import RANKED_FACTORS

READING = (
    "Dots: place by the mean over the data sets, each counting the same; bars: places that hold for all methods at "
    "once with 95 % confidence. Methods joined by an upright line on the right were not told apart."
)
COLUMNS = (
    "study",
    "metric",
    "unit",
    "panel",
    "method",
    "kind",
    *RANKED_FACTORS,
    "status",
    "reason",
    "mean",
    "iqm",
    "rank",
    "rank_low",
    "rank_high",
    "tie_groups",
    "replicate",
    "n",
    "n_pretraining_seeds",
    "variance_sources",
    "datasets",
    "sets",
    "source",
)
PANEL_WIDTH, ROW_HEIGHT = 4.2, 0.3  # inches: sixteen methods on half a page
MARGIN_HEIGHT = 1.0  # inches: panel title and axis
TIE_STEP = 0.45  # places between two tie bars
FLOOR = "floor"


class Options(LevelOptions):
    """No options: rows and columns of the study decide."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:  # noqa: ARG001
    """One row per method, best first, then those that could not be ranked; means in the printed unit."""
    ranks = evidence.statistics.tables["ranks"]
    mine = ranks[(ranks["study"] == study.name) & (ranks["metric"] == study.metric)]
    mine = mine.sort_values("rank", kind="stable", na_position="last")
    beside = [factor for factor in study.columns if factor != "dataset" and mine[factor].nunique() > 1]
    rows = [
        {
            **record,
            "unit": evidence.measure.unit,
            "panel": plotting.level_names(record, beside) or _labels_of_sets(record),
            "method": plotting.level_names(record, study.rows),
            **{name: record[name] * evidence.measure.scale for name in ("mean", "iqm")},
        }
        for record in plotting.dicts(mine)
    ]
    return as_table(rows, COLUMNS)


def _labels_of_sets(record: dict[str, Any]) -> str:
    return labels.join([labels.name(name) for name in record["datasets"].split()])


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw what `numbers` returned."""
    panels = plotting.groups(numbers, "panel")
    most = int(numbers.groupby("panel").size().max()) if len(numbers) else 1
    labels_width = plotting.CHARACTER_WIDTH * numbers["method"].map(len).max() if len(numbers) else 0
    figure = plotting.new_figure(
        (PANEL_WIDTH + labels_width) * max(len(panels), 1), MARGIN_HEIGHT + ROW_HEIGHT * max(most, 3)
    )
    axes = plotting.add_panels(figure, 1, max(len(panels), 1), max(len(panels), 1))
    for panel, (label, rows) in zip(axes, panels, strict=bool(panels)):
        _panel(panel, rows, study)
        sources = ", ".join(dict.fromkeys(source for text in rows["source"] for source in text.split()))
        panel.set_title(f"{label} ({sources})" if sources else f"{label}\nnothing measured")
    if not panels:
        axes[0].set_title("one data set, or one method: nothing to rank")
        plotting.hide_scales(axes[0])
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _panel(panel: Axes, rows: pd.DataFrame, study: Study) -> None:
    measure = number_format.measure(study.metric)
    for height, row in enumerate(plotting.records(rows)):
        if pd.isna(row.rank):
            panel.text(1, height, in_short(row.reason), va="center", color=plotting.SOFT, style="italic", fontsize=8)
            continue
        colour = plotting.SOFT if row.kind == FLOOR else plotting.COLOURS[0]
        panel.plot([row.rank_low, row.rank_high], [height, height], color=colour, linewidth=2.2, zorder=2)
        panel.plot([row.rank], [height], marker="o", markersize=6, color=colour, zorder=3)
    ties = _ties(rows)
    for number, (first, last) in enumerate(ties):
        across = len(rows) + 0.9 + TIE_STEP * number
        panel.plot(
            [across, across], [first - 0.2, last + 0.2], color=plotting.INK, linewidth=2.2, solid_capstyle="butt"
        )
    means = [
        f"{row.method}  {'' if pd.isna(row.mean) else number_format.number(row.mean, measure.decimals)}"
        for row in plotting.records(rows)
    ]
    panel.set_yticks(range(len(rows)), means)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_xlim(0.4, len(rows) + 0.9 + TIE_STEP * max(len(ties), 1))
    panel.set_xticks([place for place in range(1, len(rows) + 1) if len(rows) <= 10 or place % 2])
    panel.set_xlabel(f"place by the mean {measure.heading}")
    plotting.add_grid(panel, lines="x")
    panel.tick_params(axis="y", length=0)


def _ties(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """First and last row of each group of ties that has more than one method."""
    heights: dict[str, list[int]] = {}
    for height, ties in enumerate(rows["tie_groups"]):
        for letter in ties.split():
            heights.setdefault(letter, []).append(height)
    return [(found[0], found[-1]) for found in heights.values() if len(found) > 1]


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Place, interval of places and ties of every method."""
    measure = number_format.measure(study.metric)
    said = []
    for label, rows in plotting.groups(numbers, "panel"):
        found = rows[rows["rank"].notna()]
        values = "; ".join(
            f"{row.method} place {row.rank} ({row.rank_low} to {row.rank_high}; ties {row.tie_groups}), "
            f"mean {number_format.number(row.mean, measure.decimals)}"
            for row in plotting.records(found)
        )
        said.append(f"{label}: {values or 'nothing measured'}")
    return f"Places by the mean {measure.heading} over the data sets. {'. '.join(said) or 'Nothing to rank'}."
