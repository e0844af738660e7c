"""Figures of studies; the same numbers give the same bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.errors import UserError
from workflow_scripts.files import written_atomically
from workflow_scripts.report import words
from workflow_scripts.report.tables import NOTHING, TWIN, Row, Table

#: Okabe and Ito's colours, safe for colour-blind readers, from dark to light so that they stay apart in grey
#: (their yellow is too pale on white)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, SOFT = "#1b1f24", "#57606a"
DASHES: tuple[tuple[float, tuple[float, ...]], ...] = (
    *((0, (1, 1.5)), (0, (5, 2)), (0, (5, 1.5, 1, 1.5)), (0, (9, 3)), (0, (3, 1, 1, 1, 1, 1)), (0, ())),
)
MARKERS = ("o", "s", "^", "D", "v", "P")
#: no dates, and no random ids in svg
METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
STYLE: Any = {
    **{"font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 9, "axes.edgecolor": SOFT, "text.color": INK},
    **{"axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "pdf.fonttype": 42, "savefig.dpi": 160},
}
PANEL_WIDTH, ROW_HEIGHT = 2.5, 0.42  # inches: three panels fit a page's width, a label fits its row
MARGIN_HEIGHT, LEGEND_HEIGHT = 1.05, 0.24  # inches: panel titles and axis; one legend line
HEADING_LINE_HEIGHT = 0.19  # inches: a line of 10 points
LABEL_CHARACTER_WIDTH = 0.08  # inches: at 9 points
CHARACTERS_PER_INCH = 11  # of bold 10 points
LINES_PER_LEGEND_ROW = 3
TWIN_LINE = "twin: small synthetic data, not comparable with published numbers"
BEHIND_TEXT = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


def draw(table: Table, *, kind: str) -> Figure:
    """The figure of a study; `UserError` for an unknown kind."""
    if kind not in KINDS:
        raise UserError(f"study {table.study}: unknown figure {kind!r}; allowed: {', '.join(KINDS)}")
    with mpl.rc_context(STYLE):
        return KINDS[kind](table)


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as its file name's ending says (svg, pdf or png), atomically."""
    kind = path.suffix[1:]
    with mpl.rc_context(STYLE | {"svg.hashsalt": path.stem}), written_atomically(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=METADATA[kind])


def describe(table: Table) -> str:
    """The figure in words, for those who cannot see it."""
    said = []
    for place, column in enumerate(table.columns):
        values = "; ".join(
            f"{row.label} {words.number(row.entries[place].mean, table.measure.decimals)}"  # type: ignore[arg-type]
            for row in table.rows
            if row.entries[place].mean is not None
        )
        said.append(f"{column.heading}: {values or 'nothing measured'}")
    return f"{table.measure.heading}. {'. '.join(said)}."


def dots(table: Table) -> Figure:
    """One panel per column: a dot with its interval per method, a line per reference (training from scratch, floors).

    As in Fig. 2 of Wu et al. (2021), lying on its side so that any number of methods can be read.
    """
    methods = [row for row in table.rows if not row.reference] or list(table.rows)
    references = [row for row in table.rows if row not in methods]
    legend_rows = -(-len(references) // LINES_PER_LEGEND_ROW)
    height = MARGIN_HEIGHT + LEGEND_HEIGHT * legend_rows + ROW_HEIGHT * max(len(methods), 2)
    labels_width = LABEL_CHARACTER_WIDTH * max(len(row.label) for row in methods)
    figure = Figure(figsize=(labels_width + PANEL_WIDTH * len(table.columns), height), layout="constrained")
    FigureCanvasAgg(figure)
    panels: Sequence[Axes] = figure.subplots(1, len(table.columns), sharey=True, squeeze=False)[0]
    for place, panel in enumerate(panels):
        _panel(panel, table, place, methods, references)
    panels[0].set_yticks(range(len(methods)), [row.label for row in methods])
    panels[0].set_ylim(len(methods) - 0.4, -0.6)
    _legend(figure, table, references)
    _heading(figure, table)
    return figure


def _panel(panel: Axes, table: Table, place: int, methods: Sequence[Row], references: Sequence[Row]) -> None:
    column = table.columns[place]
    for number, row in enumerate(references):
        mean = row.entries[place].mean
        if mean is not None:
            panel.axvline(mean, zorder=1, **_line_style(number, row))
    first, second = ([row.labels[at] for row in methods] for at in (0, -1))
    for height, row in enumerate(methods):
        colour = COLOURS[list(dict.fromkeys(first)).index(row.labels[0]) % len(COLOURS)]
        marker = MARKERS[list(dict.fromkeys(second)).index(row.labels[-1]) % len(MARKERS)]
        _dot(panel, table, row, place=place, height=height, colour=colour, marker=marker)
    if column.source == NOTHING:
        panel.set_title(f"{column.label}\nnothing measured")
        panel.set_xticks([])
    else:
        panel.set_title(f"{column.heading}\n{column.test_clips} test clips")
        panel.locator_params(axis="x", nbins=5)
    panel.set_xlabel(table.measure.heading)
    panel.margins(x=0.12)
    panel.grid(axis="y", color="#e4e7eb", linewidth=0.8, zorder=0)
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)


def _dot(panel: Axes, table: Table, row: Row, *, place: int, height: int, colour: str, marker: str) -> None:
    entry = row.entries[place]
    if entry.mean is None:
        panel.text(
            *(0.5, height, entry.reason),
            transform=panel.get_yaxis_transform(),
            ha="center",
            va="center",
            color=SOFT,
            style="italic",
            bbox=BEHIND_TEXT,
        )
        return
    panel.errorbar(
        *(entry.mean, height),
        xerr=entry.half_width,
        fmt=marker,
        color=colour,
        markersize=6,
        capsize=3,
        linewidth=1.4,
        zorder=3,
    )
    panel.annotate(
        words.number(entry.mean, table.measure.decimals),
        (entry.mean, height),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8,
        bbox=BEHIND_TEXT,
        zorder=4,
    )


def _line_style(number: int, row: Row) -> dict[str, Any]:
    """Lines differ in dashes, which survive grey printing; training from scratch is coloured, floors are grey."""
    return {
        "linestyle": DASHES[number % len(DASHES)],
        "color": SOFT if row.floor else COLOURS[(number + 1) % len(COLOURS)],
        "linewidth": 1.6,
    }


def _legend(figure: Figure, table: Table, references: Sequence[Row]) -> None:
    handles = [
        Line2D([], [], label=f"{row.label}{' (floor)' if row.floor else ''}", **_line_style(number, row))
        for number, row in enumerate(references)
    ]
    if handles:
        columns = min(LINES_PER_LEGEND_ROW, len(table.columns))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=3.2)


def _heading(figure: Figure, table: Table) -> None:
    """Title and, under it, the warning about twins; the figure grows by the height they take."""
    title = textwrap.wrap(table.title, int(figure.get_figwidth() * CHARACTERS_PER_INCH))
    warned = any(TWIN in column.source for column in table.columns)
    taken = HEADING_LINE_HEIGHT * (len(title) + warned + 0.5)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + taken)
    share = taken / (height + taken)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - share))  # type: ignore[union-attr, call-arg]
    left, top, line = 0.05 / width, 1 - 0.05 / (height + taken), HEADING_LINE_HEIGHT / (height + taken)
    figure.text(left, top, "\n".join(title), va="top", fontsize=10, weight="bold", linespacing=1.1)
    if warned:
        figure.text(left, top - line * len(title), TWIN_LINE, va="top", fontsize=8, color=SOFT)


#: `figure` of a study -> how it is drawn
KINDS: dict[str, Callable[[Table], Figure]] = {"dots": dots}
