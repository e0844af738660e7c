"""Parts that all kinds of figures share: colours, panels, headings, legends, descriptions and saving.

Equal numbers give files of equal bytes.
"""

from __future__ import annotations

import contextlib
import io
import math
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from markupsafe import Markup

from workflow_scripts.core import escapes
from workflow_scripts.core.files import write_atomically
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import fonts, labels, number_format
from workflow_scripts.report.labels import NOTHING, TWIN
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.report.number_format import Measure
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.tables.schema import MISSING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.patheffects import withStroke

#: Okabe and Ito's colours, safe for colour-blind readers, from dark to light so that they differ in grey print
#: (their yellow is too pale on white)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLACK, GREY, GRID, STRIPE = "#1b1f24", "#57606a", "#e4e7eb", "#f3f4f6"
DASHES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0, (1, 1.5)),
    (0, (5, 2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (9, 3)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, ()),
)
MARKERS = ("o", "s", "^", "D", "v", "P")
#: no dates, and no random ids in svg
METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.edgecolor": GREY,
    "text.color": BLACK,
    "axes.labelcolor": BLACK,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "pdf.fonttype": 42,
    "savefig.dpi": 160,
}
LEGEND_LINE_WIDTH = 0.75  # inches: the line and the gaps before the text of an entry
LEGEND_HEIGHT = 0.24  # inches: one legend line
HEADING_LINE_HEIGHT = 0.19  # inches: a line of 10 points
CHARACTER_WIDTH = 0.08  # inches: at 9 points
CHARACTERS_PER_INCH = 11  # of bold 10 points
TITLE_POINTS, NOTE_POINTS = 10, 8
NOTHING_MEASURED = "nothing measured"
NAME_COLUMNS = frozenset({"true", "predicted", "tag", "clip"})  # names that the data give
NUMBER_LISTS = frozenset({"spectrum"})  # texts of many numbers, which are drawn and never printed
LONGEST_NAME = 32  # characters: 2.2 inches at 8 points, which leaves half of the narrowest panel
LONGEST_TEXT = 120  # characters of any other text beside a figure
LONGEST_TITLE = 300
LONGEST_PANEL_TITLE = 60  # characters of a line: 5 inches at 9 points
ABSENT_NOTE = "boxes: characters that no font of this machine has"
FAILURE_WIDTH = 6.0  # inches: 70 characters at 9 points
MAX_WIDTH = 10.5  # inches: more would be unreadable on a page
TWIN_LINE = "twin: small synthetic data, not comparable with published numbers"
BEHIND_TEXT = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


def draw_figure(draw: Callable[[Study, pd.DataFrame], Figure], study: Study, numbers: pd.DataFrame) -> Figure:
    """Return the figure that `draw` draws of the numbers of a study, in the style of the report.

    Names are only text: no formula, no line break, none wider than the page. Characters that the font of the report
    lacks come from other fonts of this machine; the title notes those that none has.
    """
    plain, title = _in_form(numbers, escapes.figure), escapes.figure(escapes.shorten(study.title, LONGEST_TITLE))
    absent = fonts.families(_characters(plain, title))[1]
    note = f" ({ABSENT_NOTE})" if absent else ""
    with labels.in_form(escapes.figure), _style(_characters(plain, title)):
        return draw(replace(study, title=f"{title}{note}"), plain)


def describe_figure(describe: Callable[[Study, pd.DataFrame], str], study: Study, numbers: pd.DataFrame) -> Markup:
    """Return the figure in words, as HTML; long names are shortened, and no name reorders the numbers around it."""
    return escapes.attribute(describe(study, _in_form(numbers, escapes.isolate)), keep=escapes.ISOLATES)


def draw_failure(study: Study, reason: str) -> Figure:
    """Return the figure in place of one that failed: its title and the reason."""

    def draw(study: Study, numbers: pd.DataFrame) -> Figure:
        lines = textwrap.wrap(f"The figure could not be drawn: {numbers['reason'].iloc[0]}", 70)
        figure = new_figure(FAILURE_WIDTH, HEADING_LINE_HEIGHT * (len(lines) + 1))
        figure.text(0.01, 0.5, "\n".join(lines), va="center", color=GREY)
        add_heading(figure, study.title, numbers)
        return figure

    return draw_figure(draw, study, pd.DataFrame({"reason": [reason]}))


def save(figure: Figure, path: Path) -> None:
    """Write `figure` atomically, in the format of the file name's ending (svg, pdf or png)."""
    kind = path.suffix[1:]
    with _style(_shown_characters(figure), **{"svg.hashsalt": path.stem}), write_atomically(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=METADATA[kind])


def svg_text(figure: Figure, *, salt: str) -> str:
    """Return `figure` as SVG; its ids depend on `salt`."""
    with _style(_shown_characters(figure), **{"svg.hashsalt": salt}), io.StringIO() as drawn:
        figure.savefig(drawn, format="svg", metadata=METADATA["svg"])
        return drawn.getvalue()


def _shown_characters(figure: Figure) -> frozenset[str]:
    from matplotlib.text import Text  # noqa: PLC0415  (planning needs no matplotlib)

    return frozenset("".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)))


@contextlib.contextmanager
def _style(characters: frozenset[str], **settings: str) -> Iterator[None]:
    """Set the style of the report, with fonts for these characters, and without warnings on characters of no font."""
    from matplotlib import rc_context  # noqa: PLC0415  (planning needs no matplotlib)

    families = list(fonts.families(characters)[0])
    with rc_context(STYLE | {"font.family": families} | settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _characters(numbers: pd.DataFrame, title: str) -> frozenset[str]:
    return frozenset(title).union(*(text for column in _text_columns(numbers) for text in numbers[column].unique()))


def _text_columns(numbers: pd.DataFrame) -> list[str]:
    texts = [str(name) for name, kind in numbers.dtypes.items() if kind.kind not in "biuf"]
    return [name for name in texts if name not in NUMBER_LISTS]


def _in_form(numbers: pd.DataFrame, form_of: Callable[[str], str]) -> pd.DataFrame:
    """Return the table with printable, shortened text in a form in its cells; different texts stay different."""
    columns = _text_columns(numbers)
    forms: dict[tuple[int, str], str] = {}
    texts_of: dict[str, set[str]] = {}
    for column in columns:
        longest = LONGEST_NAME if column in NAME_COLUMNS else LONGEST_TEXT
        for text in numbers[column].unique():
            form = form_of(escapes.shorten(escapes.printable(text), longest))
            texts = texts_of.setdefault(form, set())
            texts.add(text)
            forms.setdefault((longest, text), form if len(texts) == 1 else f"{form} ({len(texts)})")
        numbers = numbers.assign(**{column: [forms[longest, text] for text in numbers[column]]})
    return numbers


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (planning needs no matplotlib)
    from matplotlib.figure import Figure  # noqa: PLC0415  (planning needs no matplotlib)

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def fix_panels(figure: Figure) -> None:
    """Fix the places of panels, rounded: with many of them the solver's last digits depend on what was drawn before."""
    figure.draw_without_rendering()
    places = [panel.get_position().bounds for panel in figure.axes]
    figure.set_layout_engine("none")
    for panel, place in zip(figure.axes, places, strict=True):
        panel.set_position(tuple(round(value, 4) for value in place))


def legend_handle(label: str, **style: Any) -> Line2D:
    """Return an entry of a legend: a line or marker of this style."""
    from matplotlib.lines import Line2D  # noqa: PLC0415  (planning needs no matplotlib)

    return Line2D([], [], label=label, **style)


def legend_patch(label: str, *, colour: str) -> Patch:
    """Return an entry of a legend: a filled rectangle."""
    from matplotlib.patches import Patch  # noqa: PLC0415  (planning needs no matplotlib)

    return Patch(color=colour, label=label)


def halo() -> list[withStroke]:
    """Return the white outline of text on a line."""
    from matplotlib.patheffects import withStroke  # noqa: PLC0415  (planning needs no matplotlib)

    return [withStroke(linewidth=4, foreground="white")]  # points: also fills the gaps between digits of 8 points


def grid_shape(number: int, *, width: float, max_columns: int = 3) -> tuple[int, int]:
    """Return rows and columns for `number` panels of `width` inches: at most a page wide, rows as equal as possible."""
    columns = max(1, min(number, max_columns, int(MAX_WIDTH / width)))
    rows = -(-number // columns)
    return rows, -(-number // rows)


def add_panels(figure: Figure, rows: int, columns: int, number: int, **shared: Any) -> list[Axes]:
    """Return the first `number` axes of a grid, row by row; the others are left blank."""
    axes = list(figure.subplots(rows, columns, squeeze=False, **shared).flat)
    for unused in axes[number:]:
        unused.remove()
    return axes[:number]


def groups(numbers: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    """Group rows by the text in `column`, in the order of their first row."""
    return [(str(key), rows) for key, rows in numbers.groupby(column, sort=False)]


def subgroups(numbers: pd.DataFrame, outer: str, inner: str) -> list[tuple[str, str, pd.DataFrame]]:
    """Group rows by two columns, in the order of their first row."""
    return [(first, second, rows) for first, within in groups(numbers, outer) for second, rows in groups(within, inner)]


def records(numbers: pd.DataFrame) -> list[Any]:
    """Return rows with their columns as attributes."""
    return list(numbers.itertuples(index=False))


def dicts(numbers: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in numbers.to_dict("records")]


def measured_rows(numbers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that hold numbers."""
    return numbers[numbers["status"] != MISSING]


def level_names(levels: Mapping[str, Any], factors: Iterable[str]) -> str:
    """Return the labels of these factors' levels, without those that are "none"."""
    return ", ".join(labels.name(str(levels[factor])) for factor in factors if levels[factor] != NOTHING)


def distinct_style(index: int) -> dict[str, Any]:
    """Return colour and marker of the first, second, ... of many; the first 36 pairs are unique."""
    turn, colour = divmod(index, len(COLOURS))
    return {"color": COLOURS[colour], "marker": MARKERS[(colour + turn) % len(MARKERS)]}


def reference_style(index: int) -> dict[str, Any]:
    """Return the style of the first, second, ... baseline, such as a floor's."""
    return {"color": GREY, "linestyle": DASHES[index % len(DASHES)], "linewidth": 1.4}


def panel_title(label: str, rows: pd.DataFrame) -> str:
    """Return a panel's label with its data sources and number of test clips, or "nothing measured"."""
    measured = measured_rows(rows)
    if measured.empty:
        return f"{label}\n{NOTHING_MEASURED}"
    counts = measured["test_clips"].dropna()
    low, high = int(counts.min()), int(counts.max())
    clips = f"{low:,}" if low == high else f"{low:,}{number_format.RANGE}{high:,}"
    lines = textwrap.wrap(f"{label} ({data_sources(measured)})", LONGEST_PANEL_TITLE)
    return "\n".join([*lines, f"{clips} test clips"])


def data_sources(rows: pd.DataFrame) -> str:
    """Return the data sources of these rows, such as "twin" or "local, download"."""
    return ", ".join(dict.fromkeys(source for sources in rows["source"] for source in sources.split()))


def describe_panels(
    subject: str, numbers: pd.DataFrame, describe_panel: Callable[[str, pd.DataFrame], str | Sequence[str]]
) -> str:
    """Return a figure in words: its subject, the sentences of each panel, and what its intervals cover.

    `describe_panel` gets a panel's label and rows; it returns one sentence or several, without full stops.
    """
    sentences = [subject]
    for label, rows in groups(numbers, "panel"):
        panel = describe_panel(label, rows)
        sentences += [panel] if isinstance(panel, str) else panel
    return f"{'. '.join(sentences + interval_coverage(numbers))}."


def panel_sentence(label: str, rows: pd.DataFrame, values: Iterable[str]) -> str:
    """Return a panel's label and data sources with its values, or "nothing measured"."""
    measured = measured_rows(rows)
    heading = label if measured.empty else f"{label} ({data_sources(measured)})"
    return f"{heading}: {'; '.join(values) or NOTHING_MEASURED}"


def interval_coverage(numbers: pd.DataFrame) -> list[str]:
    """Return the sentence on the sources of variance in the intervals; none where the numbers state no source."""
    sources = dict.fromkeys(filter(None, numbers.get("variance_sources", pd.Series(dtype=str))))
    coverages = [labels.join([labels.variance_source(source) for source in joint.split(" and ")]) for joint in sources]
    return [f"The intervals cover the variation of {', or of '.join(coverages)}"] if coverages else []


def error_bars(rows: pd.DataFrame, value: str = "mean") -> list[pd.Series]:
    """Return the lengths of the lower and upper error bars from `value` to the interval's ends; 0 without interval."""
    return [(rows[value] - rows["ci_low"]).fillna(0), (rows["ci_high"] - rows[value]).fillna(0)]


def add_dots(
    panel: Axes, rows: pd.DataFrame, heights: Sequence[float] | np.ndarray, *, size: float = 4, **style: Any
) -> None:
    """Draw the `value` of each row at a height, with its interval; dots are `size` points wide."""
    bars = error_bars(rows, "value")
    panel.errorbar(rows["value"], heights, xerr=bars, linestyle="none", markersize=size, **style)


def std_bars(mean: pd.Series | float, std: pd.Series | float, measure: Measure) -> np.ndarray:
    """Return the lengths of bars of one standard deviation, (2, dots), cut to the values a rate can have."""
    means, stds = np.ravel(mean), np.nan_to_num(np.ravel(std))
    if not measure.is_rate:
        return np.stack([stds, stds])
    return np.stack([np.minimum(stds, means), np.minimum(stds, measure.scale - means)])


def limit_to_range(panel: Axes, axis: Literal["x", "y"], measure: Measure) -> None:
    """End the axis of a rate just beyond its possible values, so that no other is labelled; call it last."""
    if not measure.is_rate:
        return
    low, high = panel.get_xlim() if axis == "x" else panel.get_ylim()
    margin = 0.04 * (high - low)  # room for half a marker at the end of the range
    panel.set(**{f"{axis}lim": (max(low, -margin), min(high, measure.scale + margin))})


def spread(index: int, number: int, share: float) -> float:
    """Return the offset of one of `number` dots from the middle of their row; together they take `share` of it."""
    return (index - (number - 1) / 2) * share / max(number - 1, 1)


def hide_scales(panel: Axes) -> None:
    """Remove the scales of a panel in which nothing is drawn."""
    panel.set_xticks([])
    panel.set_yticks([])


def add_grid(panel: Axes, *, lines: str) -> None:
    """Draw grid lines for one axis ("x" or "y") behind the data, and remove the box around the panel."""
    panel.grid(axis=lines, color=GRID, linewidth=0.8, zorder=0)  # type: ignore[arg-type]
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def mark_zero(panel: Axes) -> None:
    """Draw the line of zero differences in a panel of horizontal intervals, and its grid."""
    panel.axvline(0, color=GREY, linewidth=0.8)
    add_grid(panel, lines="x")


def mark_missing(panel: Axes, x: float, reason: str) -> None:
    """Print the reason of a missing value, in short, at position `x` of the horizontal axis."""
    panel.text(
        x,
        0.5,
        in_short(reason),
        transform=panel.get_xaxis_transform(),
        rotation=90,
        ha="center",
        va="center",
        color=GREY,
        style="italic",
        fontsize=8,
        bbox=BEHIND_TEXT,
    )


def label_places(panel: Axes, labels: Sequence[str], *, width: float) -> None:
    """Label the positions 0, 1, ... of the horizontal axis of a panel `width` inches wide; vertically if too long."""
    room = width / max(len(labels), 1)
    collide = max(map(len, labels), default=0) * CHARACTER_WIDTH > 0.9 * room
    panel.set_xticks(range(len(labels)), list(labels), rotation=90 if collide else 0)
    panel.tick_params(axis="x", length=0)
    panel.set_xlim(-0.6, len(labels) - 0.4)


def label_rows(panel: Axes, names: Sequence[str], **style: Any) -> None:
    """Label the rows 0, 1, ... of a panel, from its top."""
    panel.set_yticks(range(len(names)), list(names), **style)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)


def add_stripes(panel: Axes, rows: int) -> None:
    """Shade every other row, so that a reader can follow it from the dot to its label."""
    for height in range(0, rows, 2):
        panel.axhspan(height - 0.5, height + 0.5, color=STRIPE, linewidth=0, zorder=0)


def label_sizes(panel: Axes, sizes: Iterable[float], form: Callable[[float], str], *, distance: float = 0.17) -> None:
    """Make the horizontal axis logarithmic and label these sizes, except those too close to a larger one.

    The least `distance` is a share of the axis: a label of five digits, unless another is given.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: PLC0415  (planning needs no matplotlib)

    panel.set_xscale("log")
    distinct = sorted(set(sizes))
    reach = math.log(distinct[-1] / distinct[0]) or 1.0
    labelled: list[float] = []
    for size in reversed(distinct):
        if not labelled or math.log(labelled[-1] / size) / reach > distance:
            labelled.append(size)
    panel.xaxis.set_major_locator(FixedLocator(labelled[::-1]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda size, _: form(size)))
    panel.xaxis.set_minor_locator(NullLocator())


def hide_minor_labels(panel: Axes) -> None:
    """Label the major ticks of the y axis alone."""
    from matplotlib.ticker import NullFormatter  # noqa: PLC0415  (planning needs no matplotlib)

    panel.yaxis.set_minor_formatter(NullFormatter())


def legend_columns(handles: Sequence[Artist], *, width: float) -> int:
    """Return the columns of a legend in `width` inches, with rows as equal as possible.

    Each entry takes its text, and the line and gaps before it.
    """
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    columns = max(1, min(len(handles), int(width / (longest * CHARACTER_WIDTH + LEGEND_LINE_WIDTH))))
    return -(-len(handles) // -(-len(handles) // columns)) if handles else 1


def add_legend(figure: Figure, handles: Sequence[Artist], *, columns: int) -> None:
    """Add a legend below all panels."""
    longest = int((figure.get_figwidth() - LEGEND_LINE_WIDTH) / CHARACTER_WIDTH)
    for handle in handles:
        handle.set_label(escapes.shorten(str(handle.get_label()), longest))
    if handles:
        figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, handlelength=3.2)


def add_heading(figure: Figure, title: str, numbers: pd.DataFrame) -> None:
    """Add the title and, below it, notes on twins and on training data; the figure grows by their height.

    `numbers` are those of the figure.
    """
    lines = textwrap.wrap(title, int(figure.get_figwidth() * CHARACTERS_PER_INCH))
    width_of_notes = int(figure.get_figwidth() * CHARACTERS_PER_INCH * TITLE_POINTS / NOTE_POINTS)
    notes = [line for note in _heading_notes(numbers) for line in textwrap.wrap(note, width_of_notes)]
    heading = HEADING_LINE_HEIGHT * (len(lines) + len(notes) + 0.5)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + heading)
    share = heading / (height + heading)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - share))  # type: ignore[union-attr, call-arg]
    left, top, line = 0.05 / width, 1 - 0.05 / (height + heading), HEADING_LINE_HEIGHT / (height + heading)
    figure.text(left, top, "\n".join(lines), va="top", fontsize=TITLE_POINTS, weight="bold", linespacing=1.1)
    if notes:
        figure.text(left, top - line * len(lines), "\n".join(notes), va="top", fontsize=NOTE_POINTS, color=GREY)


def _heading_notes(numbers: pd.DataFrame) -> Iterator[str]:
    if any(TWIN in source.split() for source in numbers.get("source", ())):
        yield TWIN_LINE
    if "tested_on_training_data" in numbers:
        marked = numbers[numbers["tested_on_training_data"] == "yes"]
        names = [f"{labels.name(row.corpus)} on {labels.name(row.dataset)}" for row in records(marked)]
        if names:
            yield f"{ON_TRAINING_DATA} on data that others trained the encoder on: {', '.join(dict.fromkeys(names))}"
