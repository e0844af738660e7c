"""Tags of the clips that activate each filter most (Spijkervet 2021, Fig. 7.8), beside what is expected of any clips.

The caption counts the 100 most activating clips of each filter, the text ten; `top` chooses.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.figures._encoders import clip_fields, frozen_encoders, interval_fields
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, as_table
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.filters import class_counts
from workflow_scripts.statistics.filters.responses import Responses
from workflow_scripts.statistics.tables.schema import MEASURED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = ("prepare", "embed")
READING = (
    "Images: number of clips with each tag among those that activate a filter most, a column for each filter; the "
    "narrow column is what any clips would have. Clips that activate a filter equally share its places. Dots: by how "
    "much more often a tag is among these clips than in the test set, mean over filters, with "
    f"{CONFIDENCE} confidence intervals over clusters of test clips: filters share clips, so they are no independent "
    "evidence (column `distinct` of the csv). The untrained network shows what needs no training."
)
COUNT, EXCESS = "count", "tag"
COLUMNS = (
    *"study panel dataset corpus encoder status reason part filter tag value lower upper expected distinct top".split(),
    *"mean ci_low ci_high variance_sources clusters test_clips source data_digest".split(),
)
WIDTH_RATIOS = (3.0, 0.16, 2.2)  # image, expected column, dots
IMAGE_WIDTH = 3.0  # inches of an image
ROW_HEIGHT, MARGIN_HEIGHT = 0.145, 2.0  # inches: fifty tags of 7 points on a page; titles and the scale
SMALL = 7  # points
TITLE_LENGTH = 34  # characters over an image


class Options(LevelOptions):
    """Options of the counts."""

    top: int = Field(default=class_counts.TOP, ge=1)
    """Clips of each filter that are counted (the caption's 100; the text has 10); at most a tenth of the test clips."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return the clips with each tag among the most activating ones of each filter, and the excess of each tag.

    `mean` is over filters, `lower` and `upper` are quartiles over filters, `value` the excess in percent.
    """
    encoders = frozen_encoders(study, evidence)
    if len({encoder.method.levels["dataset"] for encoder in encoders}) > 1:
        raise UserError(f"study {study.name}: figure activating_tags compares encoders on one data set")
    rows: list[dict[str, object]] = []
    for encoder in encoders:
        responses, shared = encoder.read(), {"study": study.name, **encoder.fields}
        if responses is None:
            rows.append(shared | encoder.missing())
            continue
        shared |= {"status": MEASURED, **clip_fields(responses)}
        rows += [shared | row for row in _count(responses, options)]
    return as_table(rows, COLUMNS)


def _count(responses: Responses, options: Options) -> Iterator[dict[str, object]]:
    counted = class_counts.count_classes(responses, top=options.top)
    classes = responses.facts.classes
    shared: dict[str, object] = {"top": counted.top}
    for number, of_filter in enumerate(counted.counts):
        for name, count in zip(classes, of_filter, strict=True):
            yield shared | {"part": COUNT, "filter": number, "tag": name, "value": count}
    lower, upper = np.quantile(counted.counts, [0.25, 0.75], axis=0)
    estimates = class_counts.estimate_excess(
        [responses.values], responses.tags, clusters=responses.clusters, top=options.top
    )
    for place, name in enumerate(classes):
        yield shared | {
            "part": EXCESS,
            "tag": name,
            "value": estimates.values[place],
            **interval_fields(class_counts.excess_interval(estimates, place), estimates),
            "mean": counted.counts[:, place].mean(),
            "lower": lower[place],
            "upper": upper[place],
            "expected": counted.expected[place],
            "distinct": counted.distinct[place],
        }


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    panels = plotting.groups(numbers, "panel")
    measured = plotting.measured_rows(numbers)
    tags = list(dict.fromkeys(measured["tag"]))
    ratios = [*(WIDTH_RATIOS[0] / len(panels) * 1.6 for _ in panels), *WIDTH_RATIOS[1:]]
    figure = plotting.new_figure(9.5, ROW_HEIGHT * max(len(tags), 6) + MARGIN_HEIGHT)
    axes = list(figure.subplots(1, len(ratios), width_ratios=ratios))
    counts = measured[measured["part"] == COUNT]
    largest = float(counts["value"].max()) if len(counts) else 1.0
    for panel, (label, within) in zip(axes, panels, strict=False):
        _image(panel, label, within, tags=tags, largest=largest)
    expected, dots = axes[-2:]
    excess = measured[measured["part"] == EXCESS]
    _expected(expected, excess, tags=tags, largest=largest)
    _dots(dots, excess, tags=tags)
    for panel in axes:
        panel.set_ylim(-0.5, max(len(tags), 1) - 0.5)  # the first tag at the bottom, as in the thesis
        panel.set_yticks(range(len(tags)), tags if panel in (axes[0], dots) else [""] * len(tags), fontsize=SMALL)
        panel.tick_params(axis="y", length=0)
    if len(counts):
        image = next(panel.images[0] for panel in axes if panel.images)  # an encoder that was not run has none
        bar = figure.colorbar(image, ax=axes[: len(panels)], location="bottom", fraction=0.03, pad=0.01)
        bar.set_label(
            f"clips with the tag among the {int(counts['top'].iloc[0])} that activate a filter most", fontsize=8
        )
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _image(panel: Axes, label: str, rows: pd.DataFrame, *, tags: list[str], largest: float) -> None:
    measured = plotting.measured_rows(rows)
    lines = textwrap.wrap(label, TITLE_LENGTH)
    if measured.empty:
        panel.set_title("\n".join([*lines, in_short(next(iter(rows["reason"])))]), fontsize=8)
        panel.set_xticks([])
        return
    panel.set_title("\n".join([*lines, f"({measured['source'].iloc[0]})"]), fontsize=8)
    counts = (
        measured[measured["part"] == COUNT].pivot_table(index="tag", columns="filter", values="value").loc[list(tags)]
    )
    panel.imshow(counts, cmap="viridis", vmin=0, vmax=largest, aspect="auto", interpolation="nearest", origin="lower")
    panel.set_xlabel("filter")
    panel.locator_params(axis="x", nbins=4, integer=True)


def _expected(panel: Axes, excess: pd.DataFrame, *, tags: list[str], largest: float) -> None:
    expected = excess.drop_duplicates("tag").set_index("tag")["expected"].reindex(tags).to_numpy(float)[:, None]
    panel.imshow(expected, cmap="viridis", vmin=0, vmax=largest, aspect="auto", interpolation="nearest", origin="lower")
    panel.set_title("any\nclips", fontsize=8)
    panel.set_xticks([])


def _dots(panel: Axes, excess: pd.DataFrame, *, tags: list[str]) -> None:
    panels = plotting.groups(excess, "panel")
    for index, (label, within) in enumerate(panels):
        rows = within.set_index("tag").reindex(tags)
        places = np.arange(len(tags)) + plotting.spread(index, len(panels), 0.4)
        style = plotting.distinct_style(index) | {"label": "\n".join(textwrap.wrap(label, TITLE_LENGTH))}
        plotting.add_dots(panel, rows, places, size=3, elinewidth=0.8, **style)
    plotting.mark_zero(panel)
    panel.set_xlabel("excess over any clips, percent", fontsize=8)
    panel.locator_params(axis="x", nbins=5)
    if panels:
        panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=SMALL)


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the tags with the largest and the smallest excess of each encoder."""
    subject = "Tags of the clips that activate each filter most, percent more often than in the test set"
    return plotting.describe_panels(subject, numbers, _sentence)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return f"{label}: {next(iter(rows['reason']))}"
    excess = measured[(measured["part"] == EXCESS) & measured["value"].notna()].sort_values("value", ascending=False)
    most, least = (
        "; ".join(
            f"{row.tag} {number_format.value_with_interval(row.value, row.ci_low, row.ci_high, 0)}, "
            f"{number_format.count(row.distinct, 'clips')}"
            for row in plotting.records(part)
        )
        for part in (excess.head(5), excess.tail(3))
    )
    return f"{label}, {int(measured['top'].iloc[0])} clips of each filter: most {most}; least {least}"
