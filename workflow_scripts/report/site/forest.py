"""Comparisons of a study as a forest plot: a line for each, with its point, interval and verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workflow_scripts.report.comparison_text import DIFFERENT, Estimate, PrintedComparison
from workflow_scripts.report.number_format import MINUS
from workflow_scripts.report.study_table import Table

MARGIN = 0.04  # of the range of the axis beside its outermost ends: half a marker
MOST_TICKS = 5  # an axis of 14 rem holds so many numbers of four digits


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A number of an axis at its place."""

    place: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """An interval on an axis, from its left to its right end."""

    left: str
    right: str


@dataclass(frozen=True, kw_only=True)
class ForestLine:
    """A comparison with the places of its point and intervals; `inner` is None unless it differs from `outer`."""

    comparison: PrintedComparison
    point: str
    outer: Span | None
    inner: Span | None
    different: bool  # whether its verdict is a difference, here or for other test clips too


@dataclass(frozen=True, kw_only=True)
class ForestPlot:
    """Lines by the name of their comparison, over one axis; places are in percent of its width."""

    unit: str
    zero: str
    ticks: tuple[Tick, ...]
    groups: tuple[tuple[str, tuple[ForestLine, ...]], ...]
    has_inner: bool


def build_forests(table: Table) -> list[ForestPlot]:
    """Return a forest plot for each unit in which differences of the table are measured."""
    drawn = [(item, item.estimate) for item in table.comparisons if item.estimate is not None]
    units = dict.fromkeys(estimate.unit for _, estimate in drawn)
    return [_build([(item, estimate) for item, estimate in drawn if estimate.unit == unit]) for unit in units]


class _Axis:
    """Axis over all points and ends of intervals, and over zero."""

    def __init__(self, estimates: Iterable[Estimate]) -> None:
        ends = [
            value
            for each in estimates
            for value in (each.mean, each.low, each.high, each.fixed_low, each.fixed_high)
            if math.isfinite(value)
        ]
        low, high = min(0.0, *ends), max(0.0, *ends)
        margin = MARGIN * (high - low) or 1.0
        self.low, self.high = low - margin, high + margin

    def place(self, value: float) -> str:
        """Return the place of a value in percent, with as many digits as a screen shows."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    def span(self, low: float, high: float) -> Span | None:
        """Return an interval, if there is one."""
        return Span(left=self.place(low), right=self.place(high)) if math.isfinite(low) else None

    def ticks(self) -> tuple[Tick, ...]:
        """Return round numbers within the axis."""
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  (planning needs no matplotlib)

        values = MaxNLocator(nbins=MOST_TICKS, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
        within = [float(value) for value in values if self.low < value < self.high]
        return tuple(Tick(place=self.place(value), text=f"{value:g}".replace("-", MINUS)) for value in within)


def _build(drawn: Sequence[tuple[PrintedComparison, Estimate]]) -> ForestPlot:
    axis = _Axis(estimate for _, estimate in drawn)
    groups: dict[str, list[ForestLine]] = {}
    for comparison, estimate in drawn:
        groups.setdefault(comparison.comparison, []).append(_line(comparison, estimate, axis))
    return ForestPlot(
        unit=drawn[0][1].unit,
        zero=axis.place(0),
        ticks=axis.ticks(),
        groups=tuple((name, tuple(lines)) for name, lines in groups.items()),
        has_inner=any(line.inner for lines in groups.values() for line in lines),
    )


def _line(comparison: PrintedComparison, estimate: Estimate, axis: _Axis) -> ForestLine:
    outer, inner = axis.span(estimate.low, estimate.high), axis.span(estimate.fixed_low, estimate.fixed_high)
    return ForestLine(
        comparison=comparison,
        point=axis.place(estimate.mean),
        outer=outer or inner,
        inner=inner if inner != outer and outer else None,
        different=comparison.outcome in DIFFERENT,
    )
