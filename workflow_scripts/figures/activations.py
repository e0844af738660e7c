"""Activations of the filters of an encoder's last layer by test clips (Spijkervet 2021, Figs. 7.4 and 7.5).

The thesis' code draws one curve for each filter, its activations by all clips in descending order; the text speaks of
how many filters a clip uses, which the second column shows. The thesis' caption names an encoder trained on the Million
Song Dataset, its code runs that data set through the encoder trained on MagnaTagATune; both have a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from workflow_scripts.figures._encoders import (
    FrozenEncoder,
    add_row_title,
    clip_fields,
    frozen_encoders,
    interval_fields,
)
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, as_table
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.estimation import Estimates
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.filters import activations
from workflow_scripts.statistics.filters.responses import Responses
from workflow_scripts.statistics.tables.schema import MEASURED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = ("prepare", "embed")
READING = (
    "Left: one curve for each filter, its mean activation by each test clip, the clip that activates it most first; "
    "clips are another order in each curve. Right: the activations of each clip sorted by size, mean over clips with "
    "the quartiles as a band. The flatter the right curve, the more filters respond to a clip; the dotted line is the "
    "effective number of filters (exponential of the entropy). Below: differences between data sets with their "
    f"{CONFIDENCE} confidence intervals over clusters of test clips. Untrained networks show what needs no training. "
    "Each panel has its own vertical scale."
)
CURVE, PROFILE, MEASURE, DIFFERENCE = "filter", "clip", "measure", "difference"
COLUMNS = (
    *"study panel dataset corpus encoder status reason part filter rank quantity value lower upper".split(),
    *"ci_low ci_high variance_sources clusters test_clips source data_digest".split(),
)
WIDTH, ROW_HEIGHT = 7.4, 1.75  # inches: two columns fit a page
LINE_HEIGHT, AXIS_HEIGHT = 0.42, 0.5  # inches: a dot with its name above it; axis and label
SHOWN = ("effective_filters", "active_share")  # differences that are drawn; all are in the csv


class Options(LevelOptions):
    """Options of the curves."""

    ranks: int = Field(default=60, ge=2)
    """Points of each curve, evenly spread over the clips: the numbers of all would be millions."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return the points of each filter's curve and of each panel's profile, the measures, and their differences.

    `rank` counts clips on a filter's curve and filters on a profile, from 1. Differences are those of one encoder
    between data sets, and of encoders each with the data set that it was pre-trained on.
    """
    rows: list[dict[str, object]] = []
    read: list[_Panel] = []
    for encoder in frozen_encoders(study, evidence):
        responses, shared = encoder.read(), {"study": study.name, **encoder.fields}
        if responses is None:
            rows.append(shared | encoder.missing())
            continue
        read.append(_Panel(encoder=encoder, responses=responses))
        shared |= {"status": MEASURED, **clip_fields(responses)}
        rows += [shared | row for row in _curves(responses, options)]
        rows += [shared | {"part": MEASURE} | row for row in _measures(activations.estimate_measures(responses))]
    for name, of, over in _contrasts(read):
        estimates = activations.estimate_measures(of.responses, over.responses)
        shared = {"study": study.name, **of.encoder.fields, "panel": name, "status": MEASURED}
        rows += [shared | clip_fields(of.responses) | {"part": DIFFERENCE} | row for row in _measures(estimates)]
    return as_table(rows, COLUMNS)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Panel:
    """An encoder and its filters' responses to one data set."""

    encoder: FrozenEncoder
    responses: Responses


def _contrasts(read: Sequence[_Panel]) -> Iterator[tuple[str, _Panel, _Panel]]:
    """Yield a name and both sides of each difference, the later data set first."""
    for of, over in ((of, over) for place, of in enumerate(read) for over in read[:place]):
        datasets = [labels.name(side.encoder.method.levels["dataset"]) for side in (of, over)]
        difference = f"{datasets[0]} minus {datasets[1]}"
        if of.encoder.name == over.encoder.name:
            yield f"{of.encoder.name}: clips of {difference}", of, over
        elif datasets[0] != datasets[1] and all(_own(side.encoder) for side in (of, over)):
            yield f"each with its own data set: {difference}", of, over


def _own(encoder: FrozenEncoder) -> bool:
    levels = encoder.method.levels
    return levels["corpus"] == levels["dataset"]


def _curves(responses: Responses, options: Options) -> Iterator[dict[str, object]]:
    ranks = activations.spread_ranks(len(responses.values), options.ranks)
    for number, curve in enumerate(activations.filter_curves(responses.values, ranks)):
        for rank, value in zip(ranks, curve, strict=True):
            yield {"part": CURVE, "filter": number, "rank": rank + 1, "value": value}
    for rank, (value, lower, upper) in enumerate(activations.clip_profile(responses.values).T, start=1):
        yield {"part": PROFILE, "rank": rank, "value": value, "lower": lower, "upper": upper}


def _measures(estimates: Estimates) -> Iterator[dict[str, object]]:
    for place, name in enumerate(activations.MEASURES):
        fields = interval_fields(estimates.interval(place), estimates)
        yield {"quantity": name, "value": estimates.values[place], **fields}


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    panels = plotting.groups(numbers[numbers["part"] != DIFFERENCE], "panel")
    differences = numbers[(numbers["part"] == DIFFERENCE) & numbers["quantity"].isin(SHOWN)]
    lines = differences["panel"].nunique()
    heights = [ROW_HEIGHT] * len(panels) + [LINE_HEIGHT * lines + AXIS_HEIGHT] * bool(lines)
    figure = plotting.new_figure(WIDTH, sum(heights))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    for row, (label, within) in enumerate(panels):
        axes = [figure.add_subplot(grid[row, column]) for column in range(2)]
        _panels(axes, label, within, last=row == len(panels) - 1)
    for column, name in enumerate(SHOWN if lines else ()):
        panel = figure.add_subplot(grid[-1, column])
        _differences(panel, differences[differences["quantity"] == name], labelled=column == 0)
    plotting.add_heading(figure, study.title, numbers)
    plotting.fix_panels(figure)
    return figure


def _panels(axes: Sequence[Axes], label: str, rows: pd.DataFrame, *, last: bool) -> None:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        add_row_title(axes, f"{label}: {in_short(next(iter(rows['reason'])))}")
        for panel in axes:
            plotting.hide_scales(panel)
        return
    curves, profile = (measured[measured["part"] == part] for part in (CURVE, PROFILE))
    left, right = axes
    points = curves.pivot_table(index="rank", columns="filter", values="value")
    # thin lines: hundreds lie on each other; as pixels, for as paths they would be megabytes
    left.plot(points.index, points, color=plotting.COLOURS[0], alpha=0.15, linewidth=0.5, rasterized=True)
    clips = number_format.count(int(measured["test_clips"].iloc[0]), "test clips")
    left.set_title(f"{len(profile):,} filters, {clips} ({measured['source'].iloc[0]})")
    left.set_ylabel("activation")
    lower, upper = profile["lower"], profile["upper"]
    right.fill_between(profile["rank"], lower, upper, color=plotting.COLOURS[5], alpha=0.5, linewidth=0)
    right.plot(profile["rank"], profile["value"], color=plotting.COLOURS[0], linewidth=1.4)
    effective = measured[measured["quantity"] == SHOWN[0]].iloc[0]
    right.axvline(effective["value"], color=plotting.GREY, linestyle=plotting.DASHES[0])
    right.set_title(f"effective number of filters {_with_interval(effective)}")
    labels_of_axes = ("clips, in descending order for each filter", "filters, in descending order for each clip")
    for panel, end, text in zip(axes, (points.index.max(), len(profile)), labels_of_axes, strict=True):
        plotting.add_grid(panel, lines="y")
        panel.set_xlim(1, end)
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
        panel.locator_params(axis="x", nbins=5, integer=True)
        panel.locator_params(axis="y", nbins=4)
        panel.set_xlabel(text if last else "")
    add_row_title(axes, label)


def _with_interval(row: pd.Series) -> str:
    decimals = activations.MEASURES[row["quantity"]].decimals
    return number_format.value_with_interval(row["value"], row["ci_low"], row["ci_high"], decimals)


def _differences(panel: Axes, rows: pd.DataFrame, *, labelled: bool) -> None:
    plotting.mark_zero(panel)
    panel.spines["left"].set_visible(False)
    panel.set(zorder=2 if labelled else 1, facecolor="none")  # names at the left go on over the right panel
    plotting.add_dots(panel, rows, range(len(rows)), **plotting.distinct_style(0))
    plotting.label_rows(panel, [""] * len(rows))
    panel.set_ylim(len(rows) - 0.6, -0.8)
    for place, name in enumerate(rows["panel"] if labelled else ()):
        # above the dot, over both panels
        text = panel.annotate(name, (0, place - 0.4), xycoords=("axes fraction", "data"), fontsize=8, va="center")
        text.set(path_effects=plotting.halo(), in_layout=False)
    panel.set_xlabel(f"difference of the {activations.MEASURES[rows['quantity'].iloc[0]].label}", fontsize=8)
    panel.locator_params(axis="x", nbins=5)


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the measures of each panel and the differences."""
    return plotting.describe_panels("Activations of filters by test clips", numbers, _sentence)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return f"{label}: {next(iter(rows['reason']))}"
    values = [
        f"{activations.MEASURES[str(row['quantity'])].label} {_with_interval(row)}"
        for _, row in measured[measured["quantity"] != ""].iterrows()
    ]
    return f"{label}: {'; '.join(values)}"
