"""Scenarios over the number of training samples, and where one begins to beat another (Fig. 8 of Wu et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import (
    INTERVAL,
    Evidence,
    Method,
    as_table,
    evidence_fields,
    group_by_panel,
    select_methods,
)
from workflow_scripts.statistics.inference.crossover import find_crossover
from workflow_scripts.statistics.samples import Matching, NotComparable, match
from workflow_scripts.statistics.tables.schema import MEASURED, METHOD_FACTORS, MISSING

READING = (
    f"Mean with the {INTERVAL}, over the number of training samples (logarithmic). Filled: frozen; open: others. "
    "Vertical line and band: where the mean paired difference becomes positive for good, by straight lines between the "
    "sizes, with its 95 % bootstrap interval over paired trials, on these test clips; no line where the trials do not "
    "determine it."
)
COLUMNS = (
    "study",
    "metric",
    "unit",
    "panel",
    "role",
    *METHOD_FACTORS,
    "of",
    "over",
    "status",
    "reason",
    "train_clips",
    "mean",
    "ci_low",
    "ci_high",
    "variance_sources",
    "outcome",
    "size",
    "crosses",
    "always",
    "never",
    "n",
    "replicate",
    "trials",
    "n_pretraining_seeds",
    "test_clips",
    "source",
    "data",
)
POINT, CROSSING = "point", "crossing"
FROZEN = "frozen"  # the paper's filled circles
CROSSED, ALWAYS, NEVER = "crossing", "always better", "never better"
PANEL_WIDTH, HEIGHT = 3.3, 3.4  # inches: three panels fit a page
BESIDE = 1.03  # ratio of the places of two scenarios at the same size, so that no bar hides another


class Options(LevelOptions):
    """Options of the two methods between which the crossover is estimated."""

    of: Mapping[str, str | int] = {"scenario": "fine_tuned"}
    """Levels of the method that is better with much data."""
    over: Mapping[str, str | int] = {"scenario": "frozen"}
    """Levels of the method with which it is compared."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """One row per panel, scenario and fraction, and one with the crossing of the panel (`role`).

    `size`, and `low` and `high` of a crossing, are numbers of training samples: 0 is below the smallest size measured,
    infinity beyond the largest.
    """
    drawn = tuple(dict.fromkeys(["fraction", "scenario", *options.of, *options.over]))
    rows: list[dict[str, object]] = []
    trained = [method for method in evidence.methods if not method.floor]
    for label, methods in _panels(trained, drawn).items():
        shared = {"study": study.name, "metric": study.metric, "panel": label}
        rows += [shared | _point(method, evidence.measure) for method in _in_order(methods)]
        rows.append(shared | _crossing(methods, options))
    return as_table(rows, COLUMNS)


def _in_order(methods: Sequence[Method]) -> list[Method]:
    """By scenario as planned, then by size; what was not measured comes last."""
    scenarios = list(dict.fromkeys(method.levels["scenario"] for method in methods))
    return sorted(
        methods,
        key=lambda each: (scenarios.index(each.levels["scenario"]), each.train_clips if each.cells else math.inf),
    )


def _panels(methods: Sequence[Method], drawn: tuple[str, ...]) -> dict[str, list[Method]]:
    """Panels as usual; supervised methods have no levels of pre-training, so those make none."""
    return group_by_panel(methods, drawn=(*drawn, "corpus", "workers", "weighting", "augmentation", "recipe"))


def _point(method: Method, measure: number_format.Measure) -> dict[str, object]:
    row = method.facts | {"role": POINT, "unit": measure.unit, "train_clips": method.train_clips}
    if method.estimate is None:
        return row
    return row | method.estimate.fields(measure.scale)


def _crossing(methods: Sequence[Method], options: Options) -> dict[str, object]:
    row: dict[str, object] = {"role": CROSSING, "unit": "training samples", "dataset": methods[0].levels["dataset"]}
    row |= {name: _named(side) for name, side in (("of", options.of), ("over", options.over))}
    found = _matched(methods, options)
    sizes = sorted(found)
    if len(sizes) < 2:
        return row | {"status": MISSING, "reason": "fewer than two training sizes with both"}
    shared = [name for name in found[sizes[0]].names if all(name in found[size].names for size in sizes)]
    if not shared:
        return row | {"status": MISSING, "reason": "no trial in common over all training sizes"}
    differences = np.array([found[size].of(shared) for size in sizes])
    result = find_crossover(sizes, differences)
    cells = [cell for size in sizes for cell in found[size].cells]
    return (
        row
        | evidence_fields(cells)
        | {
            "status": MEASURED,
            "outcome": result.outcome,
            "size": result.size,
            "ci_low": result.low,
            "ci_high": result.high,
            "crosses": result.crosses,
            "always": result.always,
            "never": result.never,
            "n": result.n,
            "replicate": found[sizes[0]].matching.replicate,
            "n_pretraining_seeds": max(sum(cell.pretrained for cell in found[size].cells) // 2 for size in sizes),
            "reason": "" if result.n > 2 else "fewer than three trials: no interval",
        }
    )


def _named(levels: Mapping[str, str | int]) -> str:
    return ", ".join(labels.name(str(level)) for level in levels.values())


@dataclass(frozen=True, kw_only=True)
class _Differences:
    """Paired differences at one training size."""

    matching: Matching
    values: np.ndarray
    cells: tuple

    @property
    def names(self) -> tuple[str, ...]:
        return self.matching.names

    def of(self, names: Sequence[str]) -> list[float]:
        """Differences of the replicates called so, in this order."""
        return [float(self.values[self.names.index(name)]) for name in names]


def _matched(methods: Sequence[Method], options: Options) -> dict[float, _Differences]:
    """Differences by training size; fractions that give the same size count once: they are the same samples."""
    found: dict[float, _Differences] = {}
    for method in select_methods(methods, options.of):
        others = select_methods(methods, {**options.over, "fraction": method.levels["fraction"]})
        if len(others) != 1 or not method.cells or not others[0].cells:
            continue
        matching = match(method.cells, others[0].cells)
        if not isinstance(matching, NotComparable):
            better, than = matching.values(*([cell.values for cell in each.cells] for each in (method, others[0])))
            cells = (*method.cells, *others[0].cells)
            found[method.train_clips] = _Differences(matching=matching, values=better - than, cells=cells)
    return found


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw what `numbers` returned."""
    scenarios = list(dict.fromkeys(numbers.loc[numbers["role"] == POINT, "scenario"]))
    grouped = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(grouped), width=PANEL_WIDTH)
    figure = plotting.new_figure(max(PANEL_WIDTH * columns, 4.5), HEIGHT * rows + plotting.LEGEND_HEIGHT)
    axes = plotting.add_panels(figure, rows, columns, len(grouped))
    for panel, (label, within) in zip(axes, grouped, strict=True):
        _panel(panel, label, within, study=study, scenarios=scenarios)
    handles = [Line2D([], [], label=labels.name(name), **_style(name, scenarios)) for name in scenarios]
    plotting.add_legend(figure, handles, columns=len(handles))
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, study: Study, scenarios: list[str]) -> None:
    points, found = (rows[rows["role"] == role] for role in (POINT, CROSSING))
    shown = plotting.measured_rows(points)
    plotting.add_grid(panel, lines="y")
    title = plotting.panel_title(label, points)
    if shown.empty:
        panel.set_title(title)
        plotting.hide_scales(panel)
        return
    absent = len(points) - len(shown)
    lines = [title, _said(plotting.records(found)[0])]
    panel.set_title("\n".join([*lines, f"{absent} of {len(points)} points not run"] if absent else lines))
    for name, curve in plotting.groups(shown, "scenario"):
        beside = BESIDE ** (scenarios.index(name) - (len(scenarios) - 1) / 2)
        errors = [(curve["mean"] - curve["ci_low"]).fillna(0), (curve["ci_high"] - curve["mean"]).fillna(0)]
        panel.errorbar(
            curve["train_clips"] * beside, curve["mean"], errors, capsize=2, zorder=3, **_style(name, scenarios)
        )
    for row in plotting.records(found[found["outcome"] == CROSSED]):
        panel.axvspan(row.ci_low, row.ci_high, color=plotting.GRID, zorder=0, linewidth=0)
        panel.axvline(row.size, color=plotting.SOFT, linewidth=1.2, zorder=1)
    plotting.label_sizes(panel, shown["train_clips"], lambda size: f"{size:,.0f}")
    panel.margins(x=0.08)
    panel.set_xlabel("training samples")
    panel.set_ylabel(number_format.measure(study.metric).heading)


def _style(scenario: str, scenarios: list[str]) -> dict[str, Any]:
    """Frozen is filled, the others are open and differ in marker and dashes."""
    frozen = scenario == FROZEN
    place = 0 if frozen else 1 + [name for name in scenarios if name != FROZEN].index(scenario)
    colour = plotting.COLOURS[place % len(plotting.COLOURS)]
    return {
        "color": colour,
        "marker": plotting.MARKERS[place % len(plotting.MARKERS)],
        "markerfacecolor": colour if frozen else "white",
        "linestyle": plotting.DASHES[-1] if frozen else plotting.DASHES[place % len(plotting.DASHES)],
        "markersize": 6,
        "linewidth": 1.3,
    }


def _said(row: Any) -> str:
    """The crossing in two short lines."""
    if row.status == MISSING:
        return f"no crossing sought:\n{row.reason}"
    if row.outcome == CROSSED:
        interval = f"{row.ci_low:,.0f}, {row.ci_high:,.0f}"
        return f"{row.of} beats {row.over}\nfrom {row.size:,.0f} [{interval}] samples on"
    if row.outcome == ALWAYS:
        return f"{row.of} beats {row.over}\nat every size"
    if row.outcome == NEVER:
        return f"{row.of} does not beat {row.over}\nat the largest size"
    if pd.isna(row.crosses):
        return f"crossing not determined:\n{row.reason}"
    shares = (100 * share for share in (row.crosses, row.always, row.never))
    said = [f"{share:.0f} % {what}" for share, what in zip(shares, ("cross", "always", "never better"), strict=True)]
    return f"crossing not determined: of resamples\n{', '.join(said)}"


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Every mean over its training samples and the crossing, panel by panel."""
    measure = number_format.measure(study.metric)
    said = []
    for label, rows in plotting.groups(numbers, "panel"):
        points, found = (rows[rows["role"] == role] for role in (POINT, CROSSING))
        values = "; ".join(
            f"{labels.name(row.scenario)} {number_format.number(row.mean, measure.decimals)} "
            f"with {row.train_clips:,.0f} samples"
            for row in plotting.records(plotting.measured_rows(points))
        )
        crossed = _said(plotting.records(found)[0]).replace("\n", " ")
        said.append(f"{plotting.panel_title(label, points).splitlines()[0]}: {values or 'nothing measured'}; {crossed}")
    return f"{labels.capital(measure.heading)} over training samples. {'. '.join(said)}."
