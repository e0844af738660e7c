"""Scenarios over the number of training samples, with the crossover between two of them (Fig. 8 of Wu et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from workflow_scripts.levels.fractions import parse_fraction
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
    method_columns,
    select_methods,
)
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.estimation import find_crossover
from workflow_scripts.statistics.samples import NotComparable, PairedReplicates, match
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    f"Points: mean with {INTERVAL}. Horizontal axis: number of training samples, or share of the labels (logarithmic); "
    "points of one size are side by side. Filled: frozen; open: others. Vertical line and band: crossover, the size "
    "from which the mean paired difference stays positive, interpolated linearly between the sizes, with its "
    f"{CONFIDENCE} bootstrap interval over paired trials (pre-training seeds where there are several), for the fixed "
    "test set; no line where the trials do not determine the crossover: the figure in words says how often "
    "resamples of the trials have one."
)
COLUMNS = method_columns(
    "role of over",
    "train_clips percent mean ci_low ci_high variance_sources outcome size crosses always never n replicate",
)
POINT, CROSSING = "point", "crossing"
FROZEN = "frozen"  # the paper's filled circles
NOT_DETERMINED = "cannot be determined from these trials"
CROSSED, ALWAYS, NEVER = "crossing", "always better", "never better"
PANEL_WIDTH, HEIGHT = 3.3, 3.4  # inches: three panels fit a page
DODGE = 1.03  # ratio of the positions of two scenarios at the same size, so that no bar hides another


class Options(LevelOptions):
    """Options of the two methods between which the crossover is estimated."""

    of: Mapping[str, str | int] = {"scenario": "fine_tuned"}
    """Levels of the method that is expected to be better with much data."""
    over: Mapping[str, str | int] = {"scenario": "frozen"}
    """Levels of the method with which it is compared."""
    axis: Literal["clips", "percent"] = "clips"
    """Training size: number of training clips, or percentage of the labels that a fraction names."""


@dataclass(frozen=True)
class Axis:
    """A training size: its column, its name, the words after a number, and the least distance of two labels.

    Distances are shares of the axis: the width of a label.
    """

    column: str
    name: str
    words: str
    distance: float

    def form(self, size: float) -> str:
        """Return a size as text: clips are whole."""
        return f"{size:,.0f}" if self.column == "train_clips" else f"{size:.3g}"


AXES = {
    "clips": Axis("train_clips", "training samples", " samples", 0.17),
    "percent": Axis("percent", "% of the training labels", " % of the labels", 0.1),
}


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel, scenario and fraction, and one with the panel's crossover (column `role`).

    `size`, `ci_low` and `ci_high` of a crossover are training sizes (`axis`): 0 is below the smallest measured size,
    infinity is beyond the largest.
    """
    varying = tuple(dict.fromkeys(["fraction", "scenario", *options.of, *options.over]))
    rows: list[dict[str, object]] = []
    trained = [method for method in evidence.methods if not method.floor]
    for label, methods in _panels(trained, varying).items():
        shared = {"study": study.name, "metric": study.metric, "panel": label}
        rows += [
            shared
            | method.fields(evidence.measure.scale)
            | {
                "role": POINT,
                "unit": evidence.measure.unit,
                "train_clips": method.train_clips,
                "percent": _percent(method),
            }
            for method in _in_order(methods, options)
        ]
        rows.append(shared | _crossing(methods, options))
    return as_table(rows, COLUMNS)


def _percent(method: Method) -> float:
    return 100 * parse_fraction(method.levels["fraction"])


def _size(method: Method, options: Options) -> float:
    return _percent(method) if options.axis == "percent" else method.train_clips


def _in_order(methods: Sequence[Method], options: Options) -> list[Method]:
    """Sort methods by scenario as planned, then by size; methods that were not measured come last."""
    scenarios = list(dict.fromkeys(method.levels["scenario"] for method in methods))
    return sorted(
        methods,
        key=lambda method: (
            scenarios.index(method.levels["scenario"]),
            _size(method, options) if method.cells else math.inf,
        ),
    )


def _panels(methods: Sequence[Method], varying: tuple[str, ...]) -> dict[str, list[Method]]:
    """Group by panel, but not by pre-training factors, of which supervised methods have no levels."""
    return group_by_panel(methods, varying=(*varying, "corpus", "workers", "weighting", "augmentation", "recipe"))


def _crossing(methods: Sequence[Method], options: Options) -> dict[str, object]:
    row: dict[str, object] = {
        "role": CROSSING,
        "unit": AXES[options.axis].name,
        "dataset": methods[0].levels["dataset"],
    }
    row |= {name: _label(side) for name, side in (("of", options.of), ("over", options.over))}
    differences = _differences(methods, options)
    sizes = sorted(differences)
    if len(sizes) < 2:
        return row | {"status": MISSING, "reason": "fewer than two training sizes with both"}
    names = differences[sizes[0]].names
    shared = [name for name in names if all(name in differences[size].names for size in sizes)]
    if not shared:
        return row | {"status": MISSING, "reason": "no trial in common over all training sizes"}
    result = find_crossover(sizes, np.array([differences[size].of(shared) for size in sizes]))
    cells = [cell for size in sizes for cell in differences[size].cells]
    return (
        row
        | evidence_fields(cells)
        | {
            "status": MEASURED,
            "outcome": result.outcome,
            "size": result.size,
            "ci_low": result.ci.low,
            "ci_high": result.ci.high,
            "crosses": result.crosses,
            "always": result.always,
            "never": result.never,
            "n": result.n,
            "replicate": differences[sizes[0]].matching.replicate,
            "n_pretraining_seeds": max(sum(cell.pretrained for cell in differences[size].cells) // 2 for size in sizes),
            "reason": "" if result.n > 2 else "fewer than three trials: no interval",
        }
    )


def _label(levels: Mapping[str, str | int]) -> str:
    return ", ".join(labels.name(str(level)) for level in levels.values())


@dataclass(frozen=True, kw_only=True)
class _Differences:
    """Paired differences at one training size."""

    matching: PairedReplicates
    values: np.ndarray
    cells: tuple

    @property
    def names(self) -> tuple[str, ...]:
        return self.matching.names

    def of(self, names: Sequence[str]) -> list[float]:
        """Return the differences of these replicates, in this order."""
        return [float(self.values[self.names.index(name)]) for name in names]


def _differences(methods: Sequence[Method], options: Options) -> dict[float, _Differences]:
    """Return the differences by training size; fractions of the same size count once: they are the same samples."""
    differences: dict[float, _Differences] = {}
    for method in select_methods(methods, options.of):
        others = select_methods(methods, {**options.over, "fraction": method.levels["fraction"]})
        if len(others) != 1 or not method.cells or not others[0].cells:
            continue
        matching = match(method.cells, others[0].cells)
        if not isinstance(matching, NotComparable):
            sides = ([cell.values for cell in side.cells] for side in (method, others[0]))
            treatment, reference = matching.values(*sides)
            cells = (*method.cells, *others[0].cells)
            values = treatment - reference
            differences[_size(method, options)] = _Differences(matching=matching, values=values, cells=cells)
    return differences


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw the figure of the table `numbers`."""
    scenarios = list(dict.fromkeys(numbers.loc[numbers["role"] == POINT, "scenario"]))
    panels = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH)
    figure = plotting.new_figure(max(PANEL_WIDTH * columns, 4.5), HEIGHT * rows + plotting.LEGEND_HEIGHT)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within, study=study, scenarios=scenarios, axis=AXES[options.axis])
    handles = [plotting.legend_handle(labels.name(name), **_style(name, scenarios)) for name in scenarios]
    plotting.add_legend(figure, handles, columns=len(handles))
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, study: Study, scenarios: list[str], axis: Axis) -> None:
    points, crossovers = (rows[rows["role"] == role] for role in (POINT, CROSSING))
    measured = plotting.measured_rows(points)
    plotting.add_grid(panel, lines="y")
    title = plotting.panel_title(label, points)
    if measured.empty:
        panel.set_title(title)
        plotting.hide_scales(panel)
        return
    absent = len(points) - len(measured)
    lines = [title, _crossover_lines(plotting.records(crossovers)[0])]
    panel.set_title("\n".join([*lines, f"{absent} of {len(points)} points not run"] if absent else lines))
    for name, curve in plotting.groups(measured, "scenario"):
        dodge = DODGE ** (scenarios.index(name) - (len(scenarios) - 1) / 2)
        bars = plotting.error_bars(curve)
        panel.errorbar(curve[axis.column] * dodge, curve["mean"], bars, capsize=2, zorder=3, **_style(name, scenarios))
    for row in plotting.records(crossovers[crossovers["outcome"] == CROSSED]):
        panel.axvspan(row.ci_low, row.ci_high, color=plotting.GRID, zorder=0, linewidth=0)
        panel.axvline(row.size, color=plotting.GREY, linewidth=1.2, zorder=1)
    plotting.label_sizes(panel, measured[axis.column], axis.form, distance=axis.distance)
    panel.margins(x=0.08)
    panel.set_xlabel(axis.name)
    measure = number_format.measure(study.metric)
    panel.set_ylabel(measure.heading)
    plotting.limit_to_range(panel, "y", measure)


def _style(scenario: str, scenarios: list[str]) -> dict[str, Any]:
    """Return the style of a scenario: frozen is filled; the others are open and differ in marker and dashes."""
    frozen = scenario == FROZEN
    index = 0 if frozen else 1 + [name for name in scenarios if name != FROZEN].index(scenario)
    colour = plotting.COLOURS[index % len(plotting.COLOURS)]
    return {
        "color": colour,
        "marker": plotting.MARKERS[index % len(plotting.MARKERS)],
        "markerfacecolor": colour if frozen else "white",
        "linestyle": plotting.DASHES[-1] if frozen else plotting.DASHES[index % len(plotting.DASHES)],
        "markersize": 6,
        "linewidth": 1.3,
    }


def _axis_of(row: Any) -> Axis:
    return next(axis for axis in AXES.values() if axis.name == row.unit)


def _crossover_lines(row: Any) -> str:
    """Return the crossover in two short lines."""
    if row.status == MISSING:
        return f"no crossover estimated:\n{row.reason}"
    if row.outcome == CROSSED:
        axis = _axis_of(row)
        size, low, high = (axis.form(value) for value in (row.size, row.ci_low, row.ci_high))
        return f"{row.of} beats {row.over}\nfrom {size} [{low}, {high}]{axis.words} on"
    if row.outcome == ALWAYS:
        return f"{row.of} beats {row.over}\nat every size"
    if row.outcome == NEVER:
        return f"{row.of} does not beat {row.over}\nat the largest size"
    if pd.isna(row.crosses):
        return f"crossover not determined:\n{row.reason}"
    return f"where {row.of} begins to beat {row.over}\n{NOT_DETERMINED}"


def _resamples(row: Any) -> str:
    """Return what the resamples of the trials hold where they do not determine the crossover; otherwise nothing."""
    if row.status == MISSING or row.outcome in (CROSSED, ALWAYS, NEVER) or pd.isna(row.crosses):
        return ""
    crosses, always, never = (f"{100 * share:.0f} %" for share in (row.crosses, row.always, row.never))
    return (
        f" (better at all sizes in {always} of the resamples of trials, from a size on in {crosses}, never in {never})"
    )


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe every mean over its training samples and the crossover, panel by panel."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        points, crossovers = (rows[rows["role"] == role] for role in (POINT, CROSSING))
        crossing = plotting.records(crossovers)[0]
        axis = _axis_of(crossing)
        means = [
            f"{labels.name(row.scenario)} {number_format.number(row.mean, measure.decimals)} "
            f"with {axis.form(getattr(row, axis.column))}{axis.words}"
            for row in plotting.records(plotting.measured_rows(points))
        ]
        crossover = _crossover_lines(crossing).replace("\n", " ") + _resamples(crossing)
        return f"{plotting.panel_sentence(label, points, means)}; {crossover}"

    size = _axis_of(plotting.records(numbers[numbers["role"] == CROSSING])[0]).name
    return plotting.describe_panels(f"{labels.capital(measure.heading)} over {size}", numbers, sentence)
