"""Agreement of the same filters on the data set of pre-training and on another (Spijkervet 2021, section 7.5).

The thesis listens to the clips that activate a filter most in both data sets. Here the qualities that it describes them
by are measured, and compared over all filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.figures._encoders import FrozenEncoder, frozen_encoders, interval_fields
from workflow_scripts.levels.factors import NONE
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.sound_qualities import QUALITIES
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, as_table
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.filters import agreement
from workflow_scripts.statistics.filters.agreement import Side
from workflow_scripts.statistics.filters.strongest import occupancy, usable_top
from workflow_scripts.statistics.tables.schema import MEASURED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = ("prepare", "embed")
READING = (
    "Each filter has the mean of a measured quality over the clips that activate it most, in both data sets. Left: "
    f"rank correlation of these means over all filters, with {CONFIDENCE} confidence intervals over clusters of clips; "
    f"grey lines: the middle {CONFIDENCE} of correlations if filters are paired at random. Right: the means; "
    "a point is a filter, and numbers are the filters whose clips in the first set are most alike, or those chosen. An "
    "untrained network agrees where its filters respond to level or brightness, so its agreement is the floor."
)
AGREEMENT, FILTER, CLIPS = "agreement", "filter", "clips"
MEAN = "mean of the qualities"
COLUMNS = (
    *"study panel dataset corpus encoder status reason part quantity unit filter value other_value".split(),
    *"ci_low ci_high null_low null_high p tag clip top variance_sources clusters test_clips source data_digest".split(),
)
MOST_SHARED_TAGS = 12  # MagnaTagATune and the Million Song Dataset share eight
MOST_TAGS = 5  # of a chosen filter's clips
SMALL, NUMBER_SIZE = 7, np.array([0.2, 0.12])  # points; shares of a panel that three digits take
LEFT_WIDTH, PANEL_SIZE, ROW_HEIGHT = 3.6, 2.15, 0.24  # inches


class Options(LevelOptions):
    """Options of the comparison."""

    filters: tuple[int, ...] = ()
    """Numbers of the filters whose clips are listed, such as the thesis' 51, 61, 76, 80, 105, 130 and 400 with its
    published weights; by default the `most` whose clips in the data set of pre-training are most alike."""
    most: int = Field(default=7, ge=1)
    """Number of filters that are listed by default (the thesis describes seven)."""
    top: int = Field(default=agreement.TOP, ge=1)
    """Clips of each filter, those that activate it most; at most a tenth of the test clips."""
    measured_by: str = agreement.MEASURED_BY
    """Encoder entry whose embeddings are the clips' measured qualities; it is one of the study's floors."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return the agreement of each quality and shared tag, each filter's means, and the clips of chosen filters.

    `value` of a filter is its mean in the first data set, that of the first encoder's pre-training, and `other_value`
    that in the other one: the same for all encoders, which share the axes.
    """
    by_name: dict[str, list[FrozenEncoder]] = {}
    for encoder in frozen_encoders(study, evidence, without=options.measured_by):
        by_name.setdefault(encoder.name, []).append(encoder)
    cells = evidence.manifest.cells_of(study)
    corpora = (encoder.method.levels["corpus"] for encoders in by_name.values() for encoder in encoders)
    first = next((corpus for corpus in corpora if corpus != NONE), "")
    rows: list[dict[str, object]] = []
    for name, encoders in by_name.items():
        shared = {"study": study.name, **encoders[0].fields, "panel": name}
        own = [encoder.cell for encoder in encoders]
        pair = agreement.read_pair(own, cells, first=first, measured_by=options.measured_by)
        if isinstance(pair, str):
            rows.append(shared | encoders[0].missing(pair))
            continue
        facts = [side.responses.facts for side in pair]
        shared |= {
            "status": MEASURED,
            "dataset": " ".join(fact.dataset for fact in facts),
            "test_clips": sum(len(side.facts) for side in pair),
            "source": " ".join(dict.fromkeys(fact.source for fact in facts)),
            "data_digest": " ".join(fact.content for fact in facts),
        }
        rows += [shared | row for row in _agreements(pair, options)]
        rows += [shared | row for row in _filters(pair, options)]
        rows += [shared | row for row in _chosen(pair, options, study=study)]
    return as_table(rows, COLUMNS)


def _agreements(pair: Sequence[Side], options: Options) -> Iterator[dict[str, object]]:
    """Yield the agreement of the qualities, of their mean, and of each tag that both data sets have."""
    tags = shared_tags(pair)
    of_tags = [
        Side(responses=side.responses, facts=side.responses.tags[:, side.responses.columns(tags)]) for side in pair
    ]
    parts: list[tuple[Sequence[Side], list[str]]] = [(pair, [*QUALITIES, MEAN])]
    parts += [(of_tags, [f"tag {name}" for name in tags])] if tags else []
    for sides, names in parts:
        estimates = agreement.estimate_agreement(sides, top=options.top)
        null = agreement.permute_filters(sides, top=options.top)
        for place, name in enumerate(names):
            interval = estimates.interval(place, within=agreement.CORRELATION)
            yield {
                "part": AGREEMENT,
                "quantity": name,
                "value": estimates.values[place],
                **interval_fields(interval, estimates),
                "null_low": null.low[place],
                "null_high": null.high[place],
                "p": null.p[place],
            }


def shared_tags(pair: Sequence[Side]) -> list[str]:
    """Return the classes that both data sets have, those with most clips in the first one."""
    first, second = (side.responses for side in pair)
    shared = [name for name in first.facts.classes if name in second.facts.classes]
    clips = first.tags[:, first.columns(shared)].sum(axis=0)
    return [shared[place] for place in np.argsort(-clips, kind="stable")[:MOST_SHARED_TAGS]]


def _filters(pair: Sequence[Side], options: Options) -> Iterator[dict[str, object]]:
    means = [agreement.filter_means(side, top=options.top) for side in pair]
    for place, (name, unit) in enumerate(QUALITIES.items()):
        for number, (value, other) in enumerate(zip(*(of_set[:, place] for of_set in means), strict=True)):
            yield {
                "part": FILTER,
                "quantity": name,
                "unit": unit,
                "filter": number,
                "value": value,
                "other_value": other,
            }


def _chosen(pair: Sequence[Side], options: Options, *, study: Study) -> Iterator[dict[str, object]]:
    """Yield the tags and names of the clips of each chosen filter in each data set."""
    filters = pair[0].responses.values.shape[1]
    beyond = [number for number in options.filters if not 0 <= number < filters]
    if beyond:
        raise UserError(f"study {study.name}: figure.filters: {beyond[0]} is not from 0 to {filters - 1}")
    chosen = options.filters or agreement.find_coherent(pair[0], most=options.most, top=options.top)
    for side in pair:
        responses = side.responses
        top = usable_top(options.top, len(side.facts))
        for number in chosen:
            places = occupancy(responses.values[:, [number]], top)[0]
            clips = np.flatnonzero(places)[np.argsort(-responses.values[places > 0, number], kind="stable")][:top]
            counts = places @ responses.tags
            commonest = [place for place in np.argsort(-counts, kind="stable")[:MOST_TAGS] if counts[place] > 0]
            yield {
                "part": CLIPS,
                "dataset": responses.facts.dataset,
                "filter": int(number),
                "top": top,
                "tag": ", ".join(f"{responses.facts.classes[place]} {counts[place]:.3g}" for place in commonest),
                "clip": " ".join(responses.names[clips]),
            }


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    panels = plotting.groups(numbers, "panel")
    agreements = numbers[numbers["part"] == AGREEMENT]
    lines = max(agreements["quantity"].nunique(), 4)
    height = max(ROW_HEIGHT * lines + 0.8, 2 * PANEL_SIZE + 0.6)
    figure = plotting.new_figure(LEFT_WIDTH + 3 * PANEL_SIZE, height + plotting.LEGEND_HEIGHT * len(panels))
    grid = figure.add_gridspec(2, 4, width_ratios=[LEFT_WIDTH * 0.62, *[PANEL_SIZE] * 3])
    styles = [plotting.distinct_style(index) for index in range(len(panels))]
    _agreement_panel(figure.add_subplot(grid[:, 0]), panels, styles)
    points = numbers[numbers["part"] == FILTER]
    for place, (name, rows) in enumerate(plotting.groups(points, "quantity")):
        panel = figure.add_subplot(grid[place // 3, 1 + place % 3])
        _scatter(panel, name, rows, [label for label, _ in panels], styles, chosen=_chosen_filters(numbers))
    handles = [
        plotting.legend_handle(_legend(label, rows), linestyle="none", markersize=4, **style)
        for (label, rows), style in zip(panels, styles, strict=True)
    ]
    plotting.add_legend(figure, handles, columns=1)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _legend(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    return label if len(measured) else f"{label}: {in_short(next(iter(rows['reason'])))}"


def _chosen_filters(numbers: pd.DataFrame) -> list[int]:
    """Return the listed filters of the first encoder that has numbers."""
    listed = plotting.groups(numbers[numbers["part"] == CLIPS], "panel")
    return [int(number) for number in listed[0][1]["filter"].unique()] if listed else []


def _agreement_panel(panel: Axes, panels: Sequence[tuple[str, pd.DataFrame]], styles: Sequence[dict[str, Any]]) -> None:
    names: list[str] = []
    for index, ((_, rows), style) in enumerate(zip(panels, styles, strict=True)):
        within = rows[rows["part"] == AGREEMENT]
        names += [name for name in within["quantity"] if name not in names]
        places = np.array([names.index(name) for name in within["quantity"]]) + plotting.spread(index, len(panels), 0.4)
        panel.hlines(places, within["null_low"], within["null_high"], color=plotting.GREY, alpha=0.35, linewidth=5)
        plotting.add_dots(panel, within, places, **style)
    plotting.mark_zero(panel)
    plotting.label_rows(panel, names, fontsize=8)
    panel.set_xlabel("rank correlation over filters")
    panel.set_xlim(-1.05, 1.05)
    panel.set_title("agreement of both data sets", fontsize=9)


def _scatter(
    panel: Axes,
    name: str,
    rows: pd.DataFrame,
    order: Sequence[str],
    styles: Sequence[dict[str, Any]],
    *,
    chosen: Sequence[int],
) -> None:
    unit = rows["unit"].iloc[0]
    for label, within in plotting.groups(rows, "panel"):
        style = styles[order.index(label)]
        panel.plot(
            within["value"],
            within["other_value"],
            linestyle="none",
            markersize=2.5,
            alpha=0.5,
            markeredgewidth=0,
            **style,
        )
    _number_points(panel, rows[(rows["panel"] == rows["panel"].iloc[0]) & rows["filter"].isin(chosen)])
    datasets = [labels.name(part) for part in rows["dataset"].iloc[0].split()]
    panel.set_title(f"{name}{f' ({unit})' if unit else ''}", fontsize=9)
    panel.set_xlabel(datasets[0], fontsize=8)
    panel.set_ylabel(datasets[1], fontsize=8)
    panel.tick_params(labelsize=SMALL)
    panel.locator_params(nbins=4)


def _number_points(panel: Axes, points: pd.DataFrame) -> None:
    """Print the numbers of filters at their points, without those that would lie on another."""
    size = NUMBER_SIZE * [np.ptp(panel.get_xlim()), np.ptp(panel.get_ylim())]
    printed: list[np.ndarray] = []
    for row in plotting.records(points):
        place = np.array([row.value, row.other_value])
        if any((np.abs(place - other) < size).all() for other in printed):
            continue
        printed.append(place)
        panel.annotate(
            str(row.filter),
            (row.value, row.other_value),
            fontsize=SMALL,
            ha="center",
            va="center",
            path_effects=plotting.halo(),
        )


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the agreement of each quality and the tags of the listed filters."""
    subject = "Rank correlation over filters of the qualities of their most activating clips in two data sets"
    return plotting.describe_panels(subject, numbers, _sentences)


def _sentences(label: str, rows: pd.DataFrame) -> list[str]:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return [f"{label}: {next(iter(rows['reason']))}"]
    agreements = measured[(measured["part"] == AGREEMENT) & measured["value"].notna()]
    values = [
        f"{row.quantity} {number_format.value_with_interval(row.value, row.ci_low, row.ci_high, 2)}"
        for row in plotting.records(agreements)
    ]
    listed = [
        f"{label}, filter {row.filter} on {labels.name(row.dataset)}: {row.tag or 'no tags'}"
        for row in plotting.records(measured[measured["part"] == CLIPS])
    ]
    return [f"{label}: {'; '.join(values)}", *listed]
