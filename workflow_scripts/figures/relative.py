"""Relative improvement over a baseline with its interval, a panel per data set (Fig. 5 of Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import (
    Evidence,
    Method,
    as_table,
    evidence_fields,
    group_by_panel,
    method_columns,
    select_method,
)
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.estimation import relative_improvement
from workflow_scripts.statistics.samples import NotComparable, match
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    f"Change of the mean in percent of the baseline's mean, with Fieller's {CONFIDENCE} interval over paired trials "
    "(pre-training seeds where there are several), for the fixed test set. Filled: the interval excludes zero; open: "
    "the interval includes zero, or there is none. Each panel has its own scale."
)
COLUMNS = method_columns("over", "value ci_low ci_high n replicate")
PANEL_WIDTH, HEIGHT = 3.3, 3.1  # inches: three panels of seven worker sets fit a page


class Options(LevelOptions):
    """Options of the baseline."""

    baseline: Mapping[str, str | int] = {"workers": "WLP"}
    """Levels that select one method per panel; the other methods' improvements are relative to it."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel and method other than the baseline, with the improvement in percent.

    Floors are left out: they differ from the baseline in more than its factors. Raises `UserError` unless a panel has
    one baseline.
    """
    rows = []
    for label, methods in group_by_panel(evidence.methods, varying=tuple(options.baseline)).items():
        baseline = select_method(methods, options.baseline, where=f"study {study.name}, {label}: figure.baseline")
        shared = {"study": study.name, "metric": study.metric, "unit": "%", "panel": label}
        shared["over"] = _label(baseline.levels, options)
        rows += [shared | _row(method, baseline) for method in methods if method is not baseline and not method.floor]
    return as_table(rows, COLUMNS)


def _row(method: Method, baseline: Method) -> dict[str, object]:
    row = method.facts
    if not method.cells or not baseline.cells:
        reason = method.reason or f"baseline {baseline.reason}"
        return {**method.levels, "status": MISSING, "reason": reason}
    matching = match(method.cells, baseline.cells)
    if isinstance(matching, NotComparable):
        return {**method.levels, "status": MISSING, "reason": matching.reason}
    pairs = matching.values(*([cell.values for cell in side.cells] for side in (method, baseline)))
    improvement = relative_improvement(*pairs)
    return (
        row
        | evidence_fields([*method.cells, *baseline.cells])
        | {
            "value": improvement.percent,
            "ci_low": improvement.ci.low,
            "ci_high": improvement.ci.high,
            "n": improvement.n,
            "replicate": matching.replicate,
            "n_pretraining_seeds": max(sum(cell.pretrained for cell in side.cells) for side in (method, baseline)),
        }
    )


def _label(levels: Mapping[str, Any], options: Options) -> str:
    return ", ".join(labels.name(str(levels[factor])) for factor in options.baseline)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw the figure of the table `numbers`."""
    row_labels = [_label(row, options) for row in plotting.dicts(numbers)]
    methods = list(dict.fromkeys(row_labels))
    panels = plotting.groups(numbers.assign(method=row_labels), "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH)
    figure = plotting.new_figure(max(PANEL_WIDTH * columns, 4.5), HEIGHT * rows + plotting.LEGEND_HEIGHT)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    over = next(iter(numbers["over"]), "")
    for panel, (label, within) in zip(axes, panels, strict=True):
        panel.set_title(plotting.panel_title(label, within))
        plotting.add_grid(panel, lines="y")
        plotting.label_places(panel, methods, width=PANEL_WIDTH - 0.7)
        panel.axhline(0, color=plotting.BLACK, linewidth=1, zorder=2)
        panel.set_ylabel(f"{number_format.measure(study.metric).name}: change over {over} (%)")
        _points(panel, within, methods)
        if plotting.measured_rows(within).empty:
            panel.set_yticks([])
    handles = [
        plotting.legend_handle(label, linestyle="none", **_marker(filled=filled))
        for label, filled in (("interval excludes zero", True), ("interval includes zero, or none", False))
    ]
    plotting.add_legend(figure, handles, columns=2 if columns > 1 else 1)
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _points(panel: Axes, rows: pd.DataFrame, methods: list[str]) -> None:
    for index, name in enumerate(methods):
        of_method = rows[rows["method"] == name]
        measured = plotting.measured_rows(of_method)
        if measured.empty:
            plotting.mark_missing(panel, index, next(iter(of_method["reason"]), "not planned"))
        for row in plotting.records(measured):
            panel.vlines(index, 0, row.value, color=plotting.GRID, linewidth=7, zorder=1)
            has_interval = not pd.isna(row.ci_low)
            panel.errorbar(
                index,
                row.value,
                yerr=[[row.value - row.ci_low], [row.ci_high - row.value]] if has_interval else None,
                capsize=3,
                linewidth=1.4,
                zorder=3,
                **_marker(filled=has_interval and not row.ci_low <= 0 <= row.ci_high),
            )


def _marker(*, filled: bool) -> dict[str, Any]:
    colour = plotting.COLOURS[0]
    return {"marker": "o", "color": colour, "markerfacecolor": colour if filled else "white", "markersize": 6}


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe every improvement with its interval, panel by panel."""
    row_factors = [factor for factor in METHOD_FACTORS if factor != "dataset" and numbers[factor].nunique() > 1]

    def sentence(label: str, rows: pd.DataFrame) -> str:
        values = [
            f"{', '.join(labels.name(record[factor]) for factor in row_factors)} {_value(record)}".strip()
            for record in plotting.dicts(plotting.measured_rows(rows))
        ]
        return plotting.panel_sentence(label, rows, values)

    over = next(iter(numbers["over"]), "the baseline")
    subject = f"Change of {number_format.measure(study.metric).name} over {over} in percent"
    return plotting.describe_panels(subject, numbers, sentence)


def _value(record: dict[str, Any]) -> str:
    value = number_format.signed_number(record["value"], 1)
    if pd.isna(record["ci_low"]):
        return value
    return f"{value} [{number_format.number(record['ci_low'], 1)}, {number_format.number(record['ci_high'], 1)}]"
