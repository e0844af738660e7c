"""Relative improvement over a baseline with its interval, a panel per data set (Fig. 5 of Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels as words
from workflow_scripts.report import number_format, plotting
from workflow_scripts.report.figure_inputs import (
    Evidence,
    Method,
    as_table,
    evidence_fields,
    group_by_panel,
    select_methods,
)
from workflow_scripts.statistics.inference.relative_improvement import relative_improvement
from workflow_scripts.statistics.samples import NotComparable, match
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING

READING = (
    "Improvement of the mean in percent of the baseline's, with Fieller's 95 % interval over paired trials. "
    "Filled: the interval excludes zero; open: it does not, or there is none. The scales of the panels differ."
)
COLUMNS = (
    "study",
    "metric",
    "unit",
    "panel",
    "over",
    *METHOD_FACTORS,
    "status",
    "reason",
    "value",
    "ci_low",
    "ci_high",
    "replicate",
    "n",
    "trials",
    "n_pretraining_seeds",
    "test_clips",
    "source",
    "data",
)
PANEL_WIDTH, HEIGHT = 3.3, 3.1  # inches: three panels of seven worker sets fit a page


class Options(LevelOptions):
    """Options of the baseline."""

    baseline: Mapping[str, str | int] = {"workers": "WLP"}
    """Levels that pick one method per panel; improvements of the others are relative to it."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """One row per panel and method but the baseline: improvement in percent; `UserError` unless there is one baseline.

    Floors are left out: they differ from the baseline in more than its factors.
    """
    rows = []
    for label, methods in group_by_panel(evidence.methods, drawn=tuple(options.baseline)).items():
        baselines = select_methods(methods, options.baseline)
        if len(baselines) != 1:
            raise UserError(f"study {study.name}: figure.baseline picks {len(baselines)} methods of {label}, not one")
        shared = {"study": study.name, "metric": study.metric, "unit": "%", "panel": label}
        shared["over"] = _label(baselines[0].levels, options)
        rows += [
            shared | _row(method, baselines[0]) for method in methods if method is not baselines[0] and not method.floor
        ]
    return as_table(rows, COLUMNS)


def _row(method: Method, baseline: Method) -> dict[str, object]:
    row = method.facts
    if not method.cells or not baseline.cells:
        reason = method.reason or f"baseline {baseline.reason}"
        return {**method.levels, "status": MISSING, "reason": reason}
    matching = match(method.cells, baseline.cells)
    if isinstance(matching, NotComparable):
        return {**method.levels, "status": MISSING, "reason": matching.reason}
    pairs = matching.values(*([cell.values for cell in each.cells] for each in (method, baseline)))
    improvement = relative_improvement(*pairs)
    return (
        row
        | evidence_fields([*method.cells, *baseline.cells])
        | {
            "value": improvement.percent,
            "ci_low": improvement.low,
            "ci_high": improvement.high,
            "n": improvement.n,
            "replicate": matching.replicate,
            "n_pretraining_seeds": max(sum(cell.pretrained for cell in each.cells) for each in (method, baseline)),
        }
    )


def _label(levels: Mapping[str, Any], options: Options) -> str:
    return ", ".join(words.name(str(levels[factor])) for factor in options.baseline)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw what `numbers` returned."""
    labels = [_label(row, options) for row in plotting.dicts(numbers)]
    shown = numbers.assign(method=labels)
    methods = list(dict.fromkeys(labels))
    grouped = plotting.groups(shown, "panel")
    rows, columns = plotting.grid_shape(len(grouped), width=PANEL_WIDTH)
    figure = plotting.new_figure(max(PANEL_WIDTH * columns, 4.5), HEIGHT * rows + plotting.LEGEND_HEIGHT)
    axes = plotting.add_panels(figure, rows, columns, len(grouped))
    over = next(iter(shown["over"]), "")
    for panel, (label, within) in zip(axes, grouped, strict=True):
        panel.set_title(plotting.panel_title(label, within))
        plotting.add_grid(panel, lines="y")
        plotting.label_places(panel, methods, width=PANEL_WIDTH - 0.7)
        panel.axhline(0, color=plotting.INK, linewidth=1, zorder=2)
        panel.set_ylabel(f"{number_format.measure(study.metric).name}: change over {over} (%)")
        _points(panel, within, methods)
        if plotting.measured_rows(within).empty:
            panel.set_yticks([])
    handles = [
        Line2D([], [], linestyle="none", label=label, **_marker(filled=filled))
        for label, filled in (("interval excludes zero", True), ("interval includes zero, or none", False))
    ]
    plotting.add_legend(figure, handles, columns=2 if columns > 1 else 1)
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _points(panel: Axes, rows: pd.DataFrame, methods: list[str]) -> None:
    for place, name in enumerate(methods):
        here = rows[rows["method"] == name]
        found = plotting.measured_rows(here)
        if found.empty:
            plotting.mark_missing(panel, place, next(iter(here["reason"]), "not planned"))
        for row in plotting.records(found):
            panel.vlines(place, 0, row.value, color=plotting.GRID, linewidth=7, zorder=1)
            known = not pd.isna(row.ci_low)
            panel.errorbar(
                place,
                row.value,
                yerr=[[row.value - row.ci_low], [row.ci_high - row.value]] if known else None,
                capsize=3,
                linewidth=1.4,
                zorder=3,
                **_marker(filled=known and not row.ci_low <= 0 <= row.ci_high),
            )


def _marker(*, filled: bool) -> dict[str, Any]:
    colour = plotting.COLOURS[0]
    return {"marker": "o", "color": colour, "markerfacecolor": colour if filled else "white", "markersize": 6}


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Every improvement with its interval, panel by panel."""
    apart = [factor for factor in METHOD_FACTORS if factor != "dataset" and numbers[factor].nunique() > 1]
    said = []
    for label, rows in plotting.groups(numbers, "panel"):
        values = "; ".join(
            f"{', '.join(words.name(record[factor]) for factor in apart)} {_value(record)}".strip()
            for record in plotting.dicts(plotting.measured_rows(rows))
        )
        said.append(f"{plotting.panel_title(label, rows).splitlines()[0]}: {values or 'nothing measured'}")
    over = next(iter(numbers["over"]), "the baseline")
    return f"Change of {number_format.measure(study.metric).name} over {over} in percent. {'. '.join(said)}."


def _value(record: dict[str, Any]) -> str:
    interval = (
        ""
        if pd.isna(record["ci_low"])
        else f" [{number_format.number(record['ci_low'], 1)}, {number_format.number(record['ci_high'], 1)}]"
    )
    return f"{number_format.signed(record['value'], 1)}{interval}"
