"""Score over the probability of an augmentation, a panel per augmentation (Spijkervet 2021, Fig. 6.4).

Any factor whose levels represent numbers can be drawn in this way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import (
    INTERVAL,
    Evidence,
    as_table,
    group_by_panel,
    method_columns,
    select_method,
)
from workflow_scripts.statistics.failure_reasons import in_short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    f"Dots: mean with {INTERVAL}. Horizontal line: the mean at the first probability, which the curves of a data set "
    "may share. All panels of a data set have the same scale."
)
COLUMNS = method_columns("curve probability", "mean ci_low ci_high variance_sources n replicate")
PANEL_WIDTH, HEIGHT = 2.5, 2.2  # inches: four panels fit a page's width
MAX_COLUMNS = 4


class Options(LevelOptions):
    """Options of the curves: probabilities, and for each curve a name and its levels at these probabilities."""

    at: tuple[float, ...]
    """Probabilities."""
    names: tuple[str, ...]
    """Names of the curves."""
    curves: tuple[Mapping[str, tuple[str, ...]], ...] = Field(min_length=1)
    """Levels of each curve at the probabilities, such as {augmentation: [crop, delay_p04, delay_p08]}."""

    @model_validator(mode="after")
    def _require_equal_lengths(self) -> Self:
        """Raise `ValueError` for lists of different lengths."""
        if len(self.names) != len(self.curves):
            raise ValueError(f"names: {len(self.names)} for {len(self.curves)} curves; give each curve one")
        for name, curve in zip(self.names, self.curves, strict=True):
            if any(len(levels) != len(self.at) for levels in curve.values()) or not curve:
                raise ValueError(f"curves: {name} must list {len(self.at)} levels of a factor, one for each of at")
        return self


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel, curve and probability; the mean in the printed unit.

    Floors are left out. Raises `UserError` where levels do not select one method.
    """
    varying = tuple(dict.fromkeys(factor for curve in options.curves for factor in curve))
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(
        [method for method in evidence.methods if not method.floor], varying=varying
    ).items():
        shared = {"study": study.name, "metric": study.metric, "unit": evidence.measure.unit, "panel": label}
        for name, curve in zip(options.names, options.curves, strict=True):
            for index, probability in enumerate(options.at):
                levels = {factor: levels[index] for factor, levels in curve.items()}
                method = select_method(methods, levels, where=f"study {study.name}, {label}: figure.curves")
                row = {"curve": name, "probability": float(probability), **method.fields(evidence.measure.scale)}
                rows.append(shared | row)
    return as_table(rows, COLUMNS)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw the figure of the table `numbers`."""
    panels = plotting.subgroups(numbers, "panel", "curve")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH, max_columns=MAX_COLUMNS)
    several, measure = numbers["panel"].nunique() > 1, number_format.measure(study.metric)
    figure = plotting.new_figure(max(PANEL_WIDTH * columns, 4.5), HEIGHT * rows)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for number, (panel, (label, name, curve)) in enumerate(zip(axes, panels, strict=True)):
        scale = numbers[numbers["panel"] == label]
        title = f"{label}\n{labels.name(name)}" if several else labels.name(name)
        _panel(panel, curve, title=title, at=options.at, scale=scale)
        panel.set_ylabel(measure.heading if number % columns == 0 else "")
        if not plotting.measured_rows(curve).empty:
            plotting.limit_to_range(panel, "y", measure)
    settings = [plotting.panel_title(label, within) for label, within in plotting.groups(numbers, "panel")]
    plotting.add_heading(figure, f"{study.title}: {'; '.join(settings).replace(chr(10), ', ')}", numbers)
    return figure


def _panel(panel: Axes, rows: pd.DataFrame, *, title: str, at: Sequence[float], scale: pd.DataFrame) -> None:
    panel.set_title(title)
    plotting.add_grid(panel, lines="y")
    measured = plotting.measured_rows(rows)
    gap = (max(at) - min(at) or 1) * 0.15
    panel.set_xlim(min(at) - gap, max(at) + gap)
    panel.set_xticks([float(probability) for probability in at], [f"{probability:g}" for probability in at])
    panel.set_xlabel("probability")
    for row in plotting.records(rows[~rows.index.isin(measured.index)]):
        plotting.mark_missing(panel, row.probability, in_short(row.reason))
    if measured.empty:
        panel.set_yticks([])
        return
    ends = plotting.measured_rows(scale)
    low, high = float(np.nanmin(ends[["ci_low", "mean"]])), float(np.nanmax(ends[["ci_high", "mean"]]))
    margin = 0.08 * (high - low or 1)
    panel.set_ylim(low - margin, high + margin)
    first = measured[measured["probability"] == float(at[0])]
    for row in plotting.records(first):
        panel.axhline(row.mean, color=plotting.GREY, linestyle=plotting.DASHES[1], linewidth=1, zorder=1)
    bars = plotting.error_bars(measured)
    style = plotting.distinct_style(0)
    panel.errorbar(measured["probability"], measured["mean"], bars, markersize=5, capsize=3, linewidth=1.3, **style)


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe every mean of every curve and the probability with the highest, panel by panel."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        curves = [_curve(name, curve, measure) for name, curve in plotting.groups(rows, "curve")]
        return plotting.panel_sentence(label, rows, curves)

    return plotting.describe_panels(f"{labels.capital(measure.heading)} by probability", numbers, sentence)


def _curve(name: str, rows: pd.DataFrame, measure: number_format.Measure) -> str:
    measured = plotting.records(plotting.measured_rows(rows))
    if not measured:
        return f"{labels.name(name)} {plotting.NOTHING_MEASURED}"
    means = ", ".join(f"{number_format.number(row.mean, measure.decimals)} at {row.probability:g}" for row in measured)
    best = max(measured, key=lambda row: row.mean)
    return f"{labels.name(name)} {means} (highest mean at {best.probability:g})"
