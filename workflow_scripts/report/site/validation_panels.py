"""Validation curves as small panels: of every trial of a cell, and of the trials behind each number of a study.

The lines are written into the page as they are: matplotlib would take minutes for the thousands of panels of a report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.statistics.validation_curves import ValidationCurve

WIDTH, HEIGHT = 220, 120  # pixels: one panel fits a telephone, four fit a page
LEFT, RIGHT, TOP, BELOW = 46, 8, 8, 20  # of the area of the curves, within the numbers of the axes
MAX_POINTS = 60  # of a curve: one for three pixels
MAX_PANELS = 120  # of a study: some 200 kB
LOSS = "Validation loss"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel: points of its lines, of the band around them, and places of the kept epochs; `words` say the same."""

    title: str
    words: str
    low: str
    high: str
    last: str
    lines: tuple[str, ...]
    marks: tuple[tuple[str, str], ...]
    band: str = ""
    path: str = ""  # of the page of its cell


@dataclass(frozen=True, kw_only=True)
class StudyPanels:
    """Panels of a study by data set, the number of panels that are not drawn, and of numbers without curves."""

    groups: tuple[tuple[str, tuple[Panel, ...]], ...]
    omitted: int
    without: int

    @property
    def drawn(self) -> int:
        """Number of panels."""
        return sum(len(panels) for _, panels in self.groups)


def draw_cell(curves: Sequence[ValidationCurve]) -> tuple[Panel, ...]:
    """Draw the curves of the trials of a cell: a panel for the loss, and for each score that the trials stop by."""
    if not curves:
        return ()
    named = {LOSS: [curve.loss for curve in curves]}
    for metric in curves[0].scores:
        measure = number_format.measure(metric)
        title = f"Validation {measure.heading}"
        named[title] = [curve.scores[metric] * measure.scale for curve in curves]
    return tuple(_draw_trials(title, values, [curve.kept for curve in curves]) for title, values in named.items())


def draw_study(study: Study, inputs: ReportInputs) -> StudyPanels | None:
    """Draw the mean loss of the trials behind each number of a study; None if none of them has curves."""
    factors = [factor for factor in (*study.rows, *study.columns) if factor != "dataset"]
    groups: dict[str, list[Panel]] = {}
    drawn = omitted = without = 0
    for key in dict.fromkeys(map(inputs.links.key, inputs.manifest.cells_of(study))):
        cells = inputs.links.groups[key]
        curves = [curve for cell in cells for curve in inputs.curves(cell).curves]
        if not curves:
            without += 1
        elif drawn == MAX_PANELS:
            omitted += 1
        else:
            levels = cells[0].factors
            title = plotting.level_names(levels, factors) or labels.name(levels["encoder"])
            panel = _draw_mean(title, [curve.loss for curve in curves], [curve.kept for curve in curves])
            groups.setdefault(labels.name(levels["dataset"]), []).append(replace(panel, path=inputs.links[key]))
            drawn += 1
    if not drawn:
        return None
    return StudyPanels(
        groups=tuple((name, tuple(panels)) for name, panels in groups.items()), omitted=omitted, without=without
    )


class _Area:
    """Places of epochs and values in a panel; values that are not finite have none."""

    def __init__(self, values: Sequence[np.ndarray]) -> None:
        """Span all values and epochs."""
        known = np.concatenate(values)
        known = known[np.isfinite(known)]
        self.last = max(map(len, values))
        self.low, self.high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)

    @property
    def axes(self) -> dict[str, str]:
        """Texts of the ends of both axes."""
        return {
            "low": number_format.significant(self.low),
            "high": number_format.significant(self.high),
            "last": f"{self.last:,}",
        }

    def place(self, epoch: float, value: float) -> tuple[str, str]:
        """Return the place of a value after an epoch, which counts from 1."""
        across = (epoch - 1) / max(self.last - 1, 1)
        up = (value - self.low) / ((self.high - self.low) or 1)
        x, y = LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BELOW - up * (HEIGHT - TOP - BELOW)
        return f"{x:.1f}", f"{y:.1f}"

    def line(self, values: np.ndarray, *, backwards: bool = False) -> str:
        """Return the points of a curve, every so many epochs if it is long, with the last one."""
        step = -(-len(values) // MAX_POINTS)
        epochs = sorted({*range(0, len(values), step), len(values) - 1}, reverse=backwards)
        places = [self.place(epoch + 1, values[epoch]) for epoch in epochs if math.isfinite(values[epoch])]
        return " ".join(map(",".join, places))


def _draw_trials(title: str, values: Sequence[np.ndarray], kept: Sequence[np.ndarray]) -> Panel:
    """Draw a line for each trial, with a mark at its kept epoch."""
    area, best = _Area(values), [_best_epoch(shares) for shares in kept]
    ends = [float(curve[epoch - 1]) for curve, epoch in zip(values, best, strict=True)]
    low, high = (number_format.significant(end) for end in (min(ends), max(ends)))
    return Panel(
        title=title,
        words=f"{title}: {low} to {high} after the kept epochs, which are {min(best)} to {max(best)} of {area.last}.",
        **area.axes,
        lines=tuple(map(area.line, values)),
        marks=tuple(area.place(epoch, end) for epoch, end in zip(best, ends, strict=True)),
    )


def _draw_mean(title: str, values: Sequence[np.ndarray], kept: Sequence[np.ndarray]) -> Panel:
    """Draw the mean over the trials that still train, a band from the lowest to the highest, and the median kept epoch.

    A trial whose loss is not finite, as that of a class that has stopped may become, leaves the mean.
    """
    padded = np.full((len(values), max(map(len, values))), math.nan)
    for row, curve in zip(padded, values, strict=True):
        row[: len(curve)] = np.where(np.isfinite(curve), curve, math.nan)
    padded = padded[:, np.isfinite(padded).any(axis=0)]
    mean, low, high = np.nanmean(padded, axis=0), np.nanmin(padded, axis=0), np.nanmax(padded, axis=0)
    area = _Area([low, high])
    best = min(int(np.median([_best_epoch(shares) for shares in kept])), len(mean))
    first, end = (number_format.significant(float(mean[epoch - 1])) for epoch in (1, best))
    return Panel(
        title=title,
        words=f"{title}: mean loss {first} after the first epoch, {end} after epoch {best} of {area.last}.",
        **area.axes,
        lines=(area.line(mean),),
        marks=(area.place(best, float(mean[best - 1])),),
        band=f"{area.line(high)} {area.line(low, backwards=True)}",
    )


def _best_epoch(kept: np.ndarray) -> int:
    """Return the kept epoch of the last training of a trial; of several classifiers, the mean of theirs."""
    whole = np.flatnonzero(kept == 1)
    if len(whole):
        return int(whole[-1]) + 1
    return round(float(np.average(np.arange(1, len(kept) + 1), weights=kept)))
