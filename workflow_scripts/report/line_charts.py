"""Curves in panels, for the pages of studies: losses by epoch, and scores by share of the labels.

The places of all parts are given, not solved for: that takes a fifth of the time, and a site has many of these figures.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import number_format, plotting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("panel", "curve", "style", "x", "value", "ci_low", "ci_high")
PANEL_WIDTH, PANEL_HEIGHT = 2.9, 2.0  # inches: three panels fit a page, and twenty epochs can be followed
LEFT, BELOW, GAP = 0.7, 0.5, 0.1  # inches: numbers and name of an axis, and the space beside a panel
LINE_HEIGHT = 0.17  # inches: a line of 9 points
TITLE_CHARACTERS = 38  # of a line above a panel
LOG_RANGE = 10  # ratio of the values from which a logarithmic axis has two labelled decades
SHIFT = 1.03  # ratio of the places of neighbouring curves at the same size
MAX_POINTS = 200  # of a curve: a pixel or two each


@dataclass(frozen=True, kw_only=True)
class Axes2D:
    """Names of both axes, the metric of the vertical one if it has one, and whether they are logarithmic.

    The vertical one is that only where its values span a decade.
    """

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False
    measure: number_format.Measure | None = None


def thin(rows: pd.DataFrame) -> pd.DataFrame:
    """Return at most about `MAX_POINTS` rows, evenly spaced, with the last one."""
    step = -(-len(rows) // MAX_POINTS)
    return rows if step <= 1 else rows.iloc[sorted({*range(0, len(rows), step), len(rows) - 1})]


def draw(study: Study, numbers: pd.DataFrame, axes: Axes2D) -> Figure:  # noqa: ARG001  (the page has the title)
    """Draw a panel for each text in `panel`, with the curves named in `curve`; a `style` is "dashed" or empty."""
    panels = plotting.groups(numbers, "panel")
    curves = list(dict.fromkeys(numbers["curve"]))
    rows, columns = plotting.grid_shape(len(panels), width=LEFT + PANEL_WIDTH)
    titles = [textwrap.wrap(label, TITLE_CHARACTERS) for label, _ in panels]
    title_height = LINE_HEIGHT * (max(map(len, titles)) + 0.5)
    width = columns * (LEFT + PANEL_WIDTH + GAP)
    handles = [plotting.legend_handle(name, **_style(place)) for place, name in enumerate(curves)]
    legend_columns = plotting.legend_columns(handles, width=width)
    legend = plotting.LEGEND_HEIGHT * -(-len(handles) // legend_columns) + GAP
    row_height = title_height + PANEL_HEIGHT + BELOW
    height = rows * row_height + legend
    figure = plotting.new_figure(width, height)
    figure.set_layout_engine("none")
    for place, ((_, within), title) in enumerate(zip(panels, titles, strict=True)):
        row, column = divmod(place, columns)
        left = LEFT + column * (LEFT + PANEL_WIDTH + GAP)
        top = height - row * row_height - title_height
        bounds = (left / width, (top - PANEL_HEIGHT) / height, PANEL_WIDTH / width, PANEL_HEIGHT / height)
        panel = figure.add_axes(bounds)
        panel.set_title("\n".join(title))
        _panel(panel, within, curves, axes)
    if len(curves) > 1 or curves[0]:
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, 0),
            ncols=legend_columns,
            frameon=False,
            handlelength=3.2,
            borderaxespad=0.2,
        )
    return figure


def _panel(panel: Axes, rows: pd.DataFrame, curves: Sequence[str], axes: Axes2D) -> None:
    plotting.add_grid(panel, lines="y")
    if axes.log_y and rows["value"].min() > 0 and rows["value"].max() > LOG_RANGE * rows["value"].min():
        panel.set_yscale("log")
    for (curve, style), points in rows.groupby(["curve", "style"], sort=False):
        x = points["x"] * (_shift(curves.index(str(curve)), len(curves)) if axes.log_x else 1)
        look = _style(curves.index(str(curve)))
        if style == "dashed":
            look |= {"linestyle": (0, (2, 2)), "marker": "", "alpha": 0.7}
        if len(points) > 30:  # markers would cover one another
            look |= {"marker": ""}
        if points["ci_low"].notna().any():
            panel.errorbar(x, points["value"], yerr=plotting.error_bars(points, "value"), capsize=2, **look)
        else:
            panel.plot(x, points["value"], **look)
    panel.set_xlabel(axes.x)
    panel.set_ylabel(axes.y)
    if axes.log_x:
        plotting.label_sizes(panel, rows["x"], lambda size: f"{size:.3g}", distance=0.1)
    else:
        panel.set_xlim(0.5, max(float(rows["x"].max()), 2) + 0.5)
        panel.locator_params(axis="x", integer=True, nbins=6)
    if axes.measure:
        plotting.limit_to_range(panel, "y", axes.measure)
    if panel.get_yscale() == "linear":
        panel.ticklabel_format(axis="y", useOffset=False)
    else:
        plotting.hide_minor_labels(panel)


def _shift(place: int, number: int) -> float:
    """Return the factor of the sizes of a curve, so that no interval hides another of the same size."""
    return float(SHIFT ** plotting.spread(place, number, number - 1))


def _style(place: int) -> dict[str, Any]:
    return {**plotting.distinct_style(place), "markersize": 3.5, "linewidth": 1.3}
