"""Positive clips of each tag of the labelled data sets, by split (Spijkervet 2021, Figs. 4.1 and 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import PlannedCell, Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, as_table
from workflow_scripts.statistics.embeddings import find_corpus
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = ("prepare",)
READING = (
    "Bars: number of clips with the tag in each split, without quarantined clips; counts have no intervals. Tags are "
    "sorted by their total. A clip counts once for each of its tags."
)
COLUMNS = tuple("study panel dataset status reason tag split positives clips source data_digest".split())
#: dark, pale and medium, so that neighbours differ in grey print
SPLITS = {"train": plotting.COLOURS[0], "valid": plotting.COLOURS[5], "test": plotting.COLOURS[1]}
PANEL_WIDTH, ROW_HEIGHT = 4.6, 0.165  # inches: fifty tags on a page, at 8 points
MARGIN_HEIGHT = 0.9  # inches: panel title and axis
LABEL_POINTS = 8


class Options(LevelOptions):
    """Options of the number of tags."""

    most: int = Field(default=50, ge=1)
    """Number of tags that are drawn, the most frequent ones (the thesis' 50)."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per data set, tag and split: clips with the tag (`positives`) out of `clips` of the split."""
    rows: list[dict[str, object]] = []
    first_cells: dict[str, PlannedCell] = {}
    for cell in evidence.manifest.cells_of(study):
        first_cells.setdefault(cell.factors["dataset"], cell)
    for dataset, cell in first_cells.items():
        shared: dict[str, object] = {"study": study.name, "panel": labels.name(dataset), "dataset": dataset}
        corpus = find_corpus(cell)
        if corpus is None:
            rows.append(shared | {"status": MISSING, "reason": NOT_RUN})
        else:
            rows += [shared | row for row in _counts(corpus, most=options.most)]
    return as_table(rows, COLUMNS)


def _counts(corpus: Corpus, *, most: int) -> Iterator[dict[str, object]]:
    labels, split = corpus.labels == 1, corpus.clips["split"].to_numpy()
    columns = np.argsort(-labels.sum(axis=0), kind="stable")[:most]
    for column in columns:
        for name in SPLITS:
            inside = split == name
            yield {
                "status": MEASURED,
                "tag": corpus.facts.classes[column],
                "split": name,
                "positives": int(labels[inside, column].sum()),
                "clips": int(inside.sum()),
                "source": corpus.facts.source,
                "data_digest": corpus.facts.content,
            }


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    panels = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH, max_columns=2)
    tags = numbers.groupby("panel")["tag"].nunique().max()
    figure = plotting.new_figure(
        PANEL_WIDTH * columns, rows * (MARGIN_HEIGHT + ROW_HEIGHT * max(tags, 5)) + plotting.LEGEND_HEIGHT
    )
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within)
    plotting.add_legend(
        figure, [plotting.legend_patch(name, colour=colour) for name, colour in SPLITS.items()], columns=len(SPLITS)
    )
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _panel(panel: Axes, label: str, rows: pd.DataFrame) -> None:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        panel.set_title(f"{label}\n{next(iter(rows['reason']))}")
        plotting.hide_scales(panel)
        return
    panel.set_title(_title(label, measured))
    plotting.add_grid(panel, lines="x")
    tags = list(dict.fromkeys(measured["tag"]))
    left = np.zeros(len(tags))
    for name, colour in SPLITS.items():
        counts = measured[measured["split"] == name]["positives"].to_numpy(float)
        panel.barh(range(len(tags)), counts, left=left, height=0.8, color=colour, edgecolor="white", linewidth=0.4)
        left += counts
    plotting.label_rows(panel, tags, fontsize=LABEL_POINTS)
    panel.locator_params(axis="x", nbins=5, integer=True)
    panel.xaxis.set_major_formatter(lambda clips, _: f"{clips:,.0f}")
    panel.set_xlabel("clips with the tag")


def _title(label: str, rows: pd.DataFrame) -> str:
    clips = rows.drop_duplicates("split")["clips"].sum()
    return f"{label} ({next(iter(rows['source']))})\n{number_format.count(int(clips), 'clips')}"


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the three most frequent tags and the rarest one of each data set, and the ratio of their counts."""
    return plotting.describe_panels("Clips with each tag", numbers, _sentence)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return f"{label}: {next(iter(rows['reason']))}"
    counts = measured.groupby("tag", sort=False)["positives"].sum()
    most = "; ".join(f"{tag} {count:,}" for tag, count in counts.head(3).items())
    times = f", {counts.iloc[0] / counts.iloc[-1]:.3g} times fewer" if counts.iloc[-1] else ""
    title = _title(label, measured).replace("\n", ", ")
    return f"{title}, {len(counts)} tags: most {most}; fewest {counts.index[-1]} {counts.iloc[-1]:,}{times}"
