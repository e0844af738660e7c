"""Ranks of the methods by their mean over the data sets, with simultaneous intervals and bars that join tie groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, as_table
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.tables.ranks import RANKED_FACTORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    f"Dots: rank by the mean over the data sets with equal weights. Bars: {CONFIDENCE} confidence intervals of the "
    "ranks, simultaneously for all methods. The intervals cover trials (pre-training seeds where a method has "
    "several), and the test sets where all predictions are stored (column variance_sources of the figure's csv). "
    "Methods joined by a vertical line on the right are not distinguishable. "
    f"{ON_TRAINING_DATA}: one of the data sets is among those that others trained the encoder on."
)
COLUMNS = (
    *"study metric unit panel method kind".split(),
    *RANKED_FACTORS,
    *"status reason mean iqm rank rank_low rank_high tie_groups".split(),
    *"replicate n n_pretraining_seeds variance_sources datasets n_datasets source".split(),
)
PANEL_WIDTH, ROW_HEIGHT = 4.2, 0.3  # inches: sixteen methods on half a page
MARGIN_HEIGHT = 1.25  # inches: panel title, axis and legend
TIED = "joined by an upright line: not distinguishable"
TIE_STEP = 0.45  # ranks between two tie bars
FLOOR = "floor"


class Options(LevelOptions):
    """No options: rows and columns of the study decide."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:  # noqa: ARG001
    """Return one row per method, best first, then those without a rank; means in the printed unit."""
    ranks = evidence.statistics.tables["ranks"]
    of_study = ranks[(ranks["study"] == study.name) & (ranks["metric"] == study.metric)]
    of_study = of_study.sort_values("rank", kind="stable", na_position="last")
    entries = evidence.statistics.tables["entries"]
    marked = entries[(entries["study"] == study.name) & (entries["tested_on_training_data"] == "yes")]
    on_training_data = set(zip(*(marked[factor] for factor in RANKED_FACTORS), strict=True))
    panel_factors = [factor for factor in study.columns if factor != "dataset" and of_study[factor].nunique() > 1]
    rows = [
        {
            **record,
            "unit": evidence.measure.unit,
            "panel": plotting.level_names(record, panel_factors) or _labels_of_sets(record),
            "method": plotting.level_names(record, study.rows)
            + (
                f" {ON_TRAINING_DATA}" if tuple(record[factor] for factor in RANKED_FACTORS) in on_training_data else ""
            ),
            **{name: record[name] * evidence.measure.scale for name in ("mean", "iqm")},
        }
        for record in plotting.dicts(of_study)
    ]
    return as_table(rows, COLUMNS)


def _labels_of_sets(record: dict[str, Any]) -> str:
    return labels.join([labels.name(name) for name in record["datasets"].split()])


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    panels = plotting.groups(numbers, "panel")
    most = int(numbers.groupby("panel").size().max()) if len(numbers) else 1
    labels_width = plotting.CHARACTER_WIDTH * numbers["method"].map(len).max() if len(numbers) else 0
    figure = plotting.new_figure(
        (PANEL_WIDTH + labels_width) * max(len(panels), 1), MARGIN_HEIGHT + ROW_HEIGHT * max(most, 3)
    )
    axes = plotting.add_panels(figure, 1, max(len(panels), 1), max(len(panels), 1))
    for panel, (label, rows) in zip(axes, panels, strict=bool(panels)):
        _panel(panel, rows, study)
        sources = plotting.data_sources(rows)
        panel.set_title(f"{label} ({sources})" if sources else f"{label}\n{plotting.NOTHING_MEASURED}")
    if not panels:
        axes[0].set_title("one data set, or one method: nothing to rank")
        plotting.hide_scales(axes[0])
    if any(_ties(rows) for _, rows in panels):
        tied = plotting.legend_handle(TIED, color=plotting.BLACK, linewidth=2.2)
        plotting.add_legend(figure, [tied], columns=1)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _panel(panel: Axes, rows: pd.DataFrame, study: Study) -> None:
    measure = number_format.measure(study.metric)
    for height, row in enumerate(plotting.records(rows)):
        if pd.isna(row.rank):
            panel.text(
                1,
                height,
                labels.reason(in_short(row.reason)),
                va="center",
                color=plotting.GREY,
                style="italic",
                fontsize=8,
            )
            continue
        colour = plotting.GREY if row.kind == FLOOR else plotting.COLOURS[0]
        panel.plot([row.rank_low, row.rank_high], [height, height], color=colour, linewidth=2.2, zorder=2)
        panel.plot([row.rank], [height], marker="o", markersize=6, color=colour, zorder=3)
    ranked = max(int(rows["rank"].notna().sum()), 2)
    ties = _ties(rows)
    for number, (first, last) in enumerate(ties):
        across = ranked + 0.9 + TIE_STEP * number
        panel.plot(
            [across, across], [first - 0.2, last + 0.2], color=plotting.BLACK, linewidth=2.2, solid_capstyle="butt"
        )
    means = [
        f"{row.method}  {'' if pd.isna(row.mean) else number_format.number(row.mean, measure.decimals)}"
        for row in plotting.records(rows)
    ]
    plotting.label_rows(panel, means)
    panel.set_xlim(0.4, ranked + 0.9 + TIE_STEP * max(len(ties), 1))
    panel.set_xticks([rank for rank in range(1, ranked + 1) if ranked <= 10 or rank % 2])
    panel.set_xlabel(f"rank by the mean {measure.heading}")
    plotting.add_grid(panel, lines="x")


def _ties(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Return the first and last row of each tie group of more than one method."""
    heights: dict[str, list[int]] = {}
    for height, ties in enumerate(rows["tie_groups"]):
        for letter in ties.split():
            heights.setdefault(letter, []).append(height)
    return [(group[0], group[-1]) for group in heights.values() if len(group) > 1]


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe rank, interval, tie groups and mean of every method."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        ranked = plotting.records(rows[rows["rank"].notna()])
        values = [
            f"{row.method} rank {row.rank} ({row.rank_low} to {row.rank_high}; tie groups {row.tie_groups}), "
            f"mean {number_format.number(row.mean, measure.decimals)}"
            for row in ranked
        ]
        return f"{label}: {'; '.join(values) or plotting.NOTHING_MEASURED}"

    subject = f"Ranks by the mean {measure.heading} over the data sets"
    return plotting.describe_panels(f"{subject}. Nothing to rank" if numbers.empty else subject, numbers, sentence)
