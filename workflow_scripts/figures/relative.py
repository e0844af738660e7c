"""Relative improvement over a baseline with its interval, a panel per data set (Fig. 5 of Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
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
    "it includes zero; a cross: there is none. In the title: the mean of the baseline. Each panel has its own scale."
)
COLUMNS = method_columns("over", "value ci_low ci_high baseline_mean n replicate")
PANEL_WIDTH, HEIGHT = 3.3, 3.25  # inches: three panels of seven worker sets fit a page
KINDS = ("interval excludes zero", "interval includes zero", "no interval")


class Options(LevelOptions):
    """Options of the baseline."""

    baseline: Mapping[str, str | int] = {"workers": "WLP"}
    """Levels that select one method per panel; the other methods' improvements are relative to it."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel and method other than the baseline, with the improvement in percent.

    Floors are left out: they differ from the baseline in more than its factors. Raises `UserError` unless a panel has
    one baseline.
    """
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(evidence.methods, varying=tuple(options.baseline)).items():
        baseline = select_method(methods, options.baseline, where=f"study {study.name}, {label}: figure.baseline")
        shared: dict[str, object] = {"study": study.name, "metric": study.metric, "unit": "%", "panel": label}
        shared["over"] = _label(baseline.levels, options)
        shared["baseline_mean"] = evidence.measure.scale * baseline.estimate.mean if baseline.estimate else np.nan
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
        panel.set_title("\n".join(filter(None, [plotting.panel_title(label, within), _base(within, study)])))
        plotting.add_grid(panel, lines="y")
        plotting.label_places(panel, methods, width=PANEL_WIDTH - 0.7)
        panel.axhline(0, color=plotting.BLACK, linewidth=1, zorder=2)
        panel.set_ylabel(f"{number_format.measure(study.metric).name}: change over {over} (%)")
        _points(panel, within, methods)
        if plotting.measured_rows(within).empty:
            panel.set_yticks([])
    measured = plotting.measured_rows(numbers)
    kinds = KINDS if measured["ci_low"].isna().any() else KINDS[:2]
    handles = [plotting.legend_handle(kind, linestyle="none", **_marker(kind)) for kind in kinds]
    plotting.add_legend(figure, handles, columns=len(kinds) if columns > 1 else 1)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _base(rows: pd.DataFrame, study: Study) -> str:
    """Return the mean of the baseline of a panel; empty if it was not measured."""
    known = rows.dropna(subset="baseline_mean")
    if known.empty:
        return ""
    measure, row = number_format.measure(study.metric), plotting.records(known)[0]
    return f"{row.over}: {number_format.number(row.baseline_mean, measure.decimals)} {measure.unit}".strip()


def _points(panel: Axes, rows: pd.DataFrame, methods: list[str]) -> None:
    for index, name in enumerate(methods):
        of_method = rows[rows["method"] == name]
        measured = plotting.measured_rows(of_method)
        if measured.empty:
            plotting.mark_missing(panel, index, next(iter(of_method["reason"]), "not planned"))
        for row in plotting.records(measured):
            panel.vlines(index, 0, row.value, color=plotting.GRID, linewidth=7, zorder=1)
            has_interval = not pd.isna(row.ci_low)
            differs, may_be_nothing, unknown = KINDS
            kind = unknown if not has_interval else may_be_nothing if row.ci_low <= 0 <= row.ci_high else differs
            panel.errorbar(
                index,
                row.value,
                yerr=[[row.value - row.ci_low], [row.ci_high - row.value]] if has_interval else None,
                capsize=3,
                linewidth=1.4,
                zorder=3,
                **_marker(kind),
            )


def _marker(kind: str) -> dict[str, Any]:
    colour, filled = plotting.COLOURS[0], kind == KINDS[0]
    shape = "X" if kind == KINDS[2] else "o"
    return {"marker": shape, "color": colour, "markerfacecolor": colour if filled else "white", "markersize": 6}


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
