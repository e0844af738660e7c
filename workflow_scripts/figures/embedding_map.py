"""Embeddings of test clips projected to a plane by t-SNE, a panel per encoder (Spijkervet 2021, Fig. 6.1).

The thesis colours the crops of ten songs by song. Colours by class show the classes that a head must separate.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.figures._encoders import ENCODED, frozen_encoders
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, Method, as_table
from workflow_scripts.statistics import embedding_layout
from workflow_scripts.statistics.embeddings import Embeddings, read_embeddings
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = ("prepare", "embed")
READING = (
    "t-SNE of frozen embeddings of test clips, separately for each encoder. Only neighbourhoods can be interpreted; "
    "distances between clusters, their sizes and the axes mean nothing. Under each title: share of the coloured "
    "points whose nearest coloured neighbour in the embedding space (by class: from another song) has the same "
    "colour, and the share by chance. One pre-training seed, without intervals."
)
COLUMNS = (
    *"study panel dataset".split(),
    *ENCODED,
    *"status reason colours perplexity agreement chance points source data_digest clip colour x y".split(),
)
CLASS, SONG = "class", "song"
OTHERS = "others"
LIGHT_GREY = "#bcc3ca"  # visible on white, and paler than any colour
PANEL_WIDTH, HEIGHT = 3.3, 3.5  # inches: three panels fit a page
LINE = 40  # characters of a title over a panel


class Options(LevelOptions):
    """Options of the colours and of the number of points."""

    colours: Literal["class", "song"] = "class"
    """Meaning of the colours: "class", where a point is a clip, or "song", where a point is a crop."""
    classes: tuple[str, ...] = Field(default=(), max_length=len(plotting.COLOURS))
    """Classes that have a colour (default: the six with the most test clips); clips with none or several of the classes
    are grey."""
    songs: int = Field(default=10, ge=1, le=len(plotting.COLOURS) * len(plotting.MARKERS))
    """Number of songs, drawn at random from those with enough crops (the thesis' 10); if those are too few, the songs
    with the most crops."""
    crops: int = Field(default=60, ge=1)
    """Number of crops of each song, drawn at random (the thesis' 60)."""
    points: int = Field(default=600, ge=embedding_layout.MIN_POINTS)
    """Largest number of points, drawn at random."""
    perplexity: float = Field(default=30, ge=1)
    """Approximate number of neighbours that t-SNE considers (the default of van der Maaten's code)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Points:
    """Embeddings `vectors` (points, size), and of each point its clip, its colour and its group.

    Neighbours of one group do not count: clips of one song share their tags, so a neighbour from the same song shows
    nothing about the tags.
    """

    vectors: np.ndarray
    clips: np.ndarray
    colours: np.ndarray
    groups: np.ndarray


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel and point with its coordinates, or one with the reason of a missing encoder.

    Of several pre-training seeds the first is drawn. Methods that share embeddings share a panel. Raises `UserError`
    for a class that the data set does not have, or where no encoder is evaluated frozen.
    """
    rows: list[dict[str, object]] = []
    methods = [encoder.method for encoder in frozen_encoders(study, evidence)]
    for label, method in _by_label(methods, study=study).items():
        levels = {factor: method.levels[factor] for factor in ("dataset", *ENCODED)}
        shared = {"study": study.name, "panel": label, **levels, "colours": options.colours}
        rows += [shared | row for row in _map(method, options, study=study)]
    return as_table(rows, COLUMNS)


def _by_label(methods: Sequence[Method], *, study: Study) -> dict[str, Method]:
    """Return the methods, one for each encoder and data set, by the label of the panel."""
    several = len({method.levels["dataset"] for method in methods}) > 1
    row_factors = _distinguishing_factors([method for method in methods if not method.floor], study=study)
    by_label: dict[str, Method] = {}
    for method in methods:
        name = plotting.level_names(method.levels, ["encoder"] if method.floor else row_factors)
        by_label[f"{labels.name(method.levels['dataset'])}, {name}" if several else name] = method
    return by_label


def _distinguishing_factors(methods: Sequence[Method], *, study: Study) -> list[str]:
    """Return factors that identify the encoders: those of the table's rows if sufficient, else all that differ."""

    def encoders(factors: Sequence[str]) -> int:
        return len({tuple(method.levels[factor] for factor in factors) for method in methods})

    differing = [factor for factor in ENCODED if encoders([factor]) > 1]
    rows = [factor for factor in study.rows if factor in differing]
    return (rows if encoders(rows) == encoders(ENCODED) else differing) or ["encoder"]


def _map(method: Method, options: Options, *, study: Study) -> list[dict[str, object]]:
    embeddings = read_embeddings(method.planned_cells[0])
    if embeddings is None:
        return [{"status": MISSING, "reason": method.reason or NOT_RUN}]
    facts = embeddings.corpus.facts
    shared: dict[str, object] = {"source": facts.source, "data_digest": facts.content}
    if options.colours == SONG and len(embeddings.clips) == len(set(embeddings.clips)):
        return [shared | {"status": MISSING, "reason": "one embedding a clip: songs need an encoder that reads crops"}]
    points = _songs(embeddings, options) if options.colours == SONG else _classes(embeddings, options, study=study)
    if len(points.vectors) < embedding_layout.MIN_POINTS:
        return [shared | {"status": MISSING, "reason": f"fewer than {embedding_layout.MIN_POINTS} points"}]
    perplexity = embedding_layout.usable_perplexity(options.perplexity, len(points.vectors))
    coordinates = embedding_layout.tsne(points.vectors, perplexity=perplexity)
    coloured = points.colours != OTHERS
    agreement, chance = (np.nan, np.nan)
    if coloured.sum() >= embedding_layout.MIN_POINTS:
        agreement, chance = embedding_layout.agreement(
            points.vectors[coloured], classes=points.colours[coloured], apart=points.groups[coloured]
        )
    shared |= {"status": MEASURED, "perplexity": perplexity, "agreement": 100 * agreement, "chance": 100 * chance}
    return [
        shared | {"points": len(coordinates), "clip": clip, "colour": colour, "x": x, "y": y}
        for clip, colour, (x, y) in zip(points.clips, points.colours, coordinates, strict=True)
    ]


def _classes(embeddings: Embeddings, options: Options, *, study: Study) -> _Points:
    """Return a sample of the test clips, coloured by their only chosen class, or `OTHERS`."""
    corpus = embeddings.corpus
    vectors, rows = embeddings.of_clips
    columns = _class_columns(corpus, rows, options, study=study)
    positive = corpus.labels[rows][:, columns] == 1
    names = np.array([corpus.facts.classes[column] for column in columns])
    colours = np.where(positive.sum(axis=1) == 1, names[positive.argmax(axis=1)], OTHERS)
    sample = _sample(np.arange(len(rows)), options.points)
    return _Points(
        vectors=vectors[sample],
        clips=_texts(corpus, "clip", rows[sample]),
        colours=colours[sample],
        groups=_texts(corpus, "group", rows[sample]),
    )


def _class_columns(corpus: Corpus, rows: np.ndarray, options: Options, *, study: Study) -> list[int]:
    """Return the columns of the classes that have a colour."""
    classes = corpus.facts.classes
    unknown = [name for name in options.classes if name not in classes]
    if unknown:
        raise UserError(
            f"study {study.name}: figure.classes: {corpus.facts.dataset} has no {', '.join(unknown)}; "
            f"allowed: {', '.join(classes)}"
        )
    if options.classes:
        return [classes.index(name) for name in options.classes]
    counts = (corpus.labels[rows] == 1).sum(axis=0)
    return [int(column) for column in np.argsort(-counts, kind="stable")[: len(plotting.COLOURS)]]


def _songs(embeddings: Embeddings, options: Options) -> _Points:
    """Return a sample of the crops of a sample of test songs; clips of one group are of one song."""
    song = embeddings.corpus.clips["group"].to_numpy()[embeddings.clips]
    names, counts = np.unique(song, return_counts=True)
    selected = names[_sample(np.flatnonzero(counts >= options.crops), options.songs)]
    if len(selected) < options.songs:
        selected = names[np.argsort(-counts, kind="stable")[: options.songs]]
    crops = [_sample(np.flatnonzero(song == name), options.crops) for name in selected]
    sample = _sample(np.sort(np.concatenate(crops)), options.points)
    colours = {name: f"song {number:02d}" for number, name in enumerate(selected, start=1)}
    return _Points(
        vectors=embeddings.vectors[sample],
        clips=_texts(embeddings.corpus, "clip", embeddings.clips[sample]),
        colours=np.array([colours[name] for name in song[sample]]),
        groups=np.arange(len(sample)),
    )


def _sample(indices: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the indices in their order, the same for all encoders with equal indices."""
    if len(indices) <= most:
        return indices
    return np.sort(np.random.default_rng(0).choice(indices, most, replace=False))


def _texts(corpus: Corpus, column: str, rows: np.ndarray) -> np.ndarray:
    return corpus.clips[column].to_numpy()[rows].astype(str)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw the figure of the table `numbers`."""
    styles = _styles(numbers, options)
    panels = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH)
    width = max(PANEL_WIDTH * columns, 4.5)
    handles = [plotting.legend_handle(name, linestyle="none", **style) for name, style in styles.items()]
    legend_columns = plotting.legend_columns(handles, width=width)
    legend_rows = -(-len(handles) // legend_columns)
    figure = plotting.new_figure(width, HEIGHT * rows + plotting.LEGEND_HEIGHT * legend_rows)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within, styles=styles)
    plotting.add_legend(figure, handles, columns=legend_columns)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _styles(numbers: pd.DataFrame, options: Options) -> dict[str, dict[str, Any]]:
    """Return the style of each colour: classes in the order of the option or of their counts, songs by number."""
    measured = plotting.measured_rows(numbers)
    counts = measured.loc[measured["colour"] != OTHERS, "colour"].value_counts()
    names = sorted(map(str, counts.index))
    if options.colours == CLASS:
        order = list(options.classes)
        names.sort(key=lambda name: order.index(name) if order else -counts[name])
    styles = {name: {**plotting.distinct_style(index), "markersize": 4} for index, name in enumerate(names)}
    if (measured["colour"] == OTHERS).any():
        styles[OTHERS] = {"color": LIGHT_GREY, "marker": ".", "markersize": 4}
    return styles


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, styles: Mapping[str, Mapping[str, Any]]) -> None:
    plotting.hide_scales(panel)
    panel.spines[:].set_color(plotting.GRID)
    measured = plotting.measured_rows(rows)
    if measured.empty:
        panel.set_title("\n".join([*textwrap.wrap(label, LINE), in_short(next(iter(rows["reason"])))]))
        return
    panel.set_title(
        "\n".join([*textwrap.wrap(f"{label} ({next(iter(measured['source']))})", LINE), _summary(measured)])
    )
    for name in [OTHERS, *(name for name in styles if name != OTHERS)]:  # coloured points are drawn over grey ones
        points = measured[measured["colour"] == name]
        if len(points):
            panel.plot(points["x"], points["y"], linestyle="none", markeredgewidth=0, **styles[name])
    panel.set_aspect("equal", adjustable="datalim")


def _summary(rows: pd.DataFrame) -> str:
    """Return the number of points (or of songs and crops), and the agreement of neighbours."""
    first = rows.iloc[0]
    by_song = first["colours"] == SONG
    counts = _song_counts(rows) if by_song else number_format.count(int(first["points"]), "points")
    if pd.isna(first["agreement"]):
        return counts
    shares = [number_format.number(first[name], 0) for name in ("agreement", "chance")]
    return f"{counts}\nneighbours agree: {shares[0]} % (by chance {shares[1]} %)"


def _song_counts(rows: pd.DataFrame) -> str:
    """Return the number of songs and of crops of each."""
    crops = rows["colour"].value_counts()
    fewest, most = int(crops.min()), int(crops.max())
    return (
        f"{number_format.count(len(crops), 'songs')} of {most if fewest == most else f'{fewest} to {most}'} crops each"
    )


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the points and the agreement of neighbours of every panel."""
    coloured = next(iter(numbers["colours"]), CLASS)
    subject = f"Map of embeddings by t-SNE, coloured by {coloured}; distances between clusters mean nothing"
    return plotting.describe_panels(subject, numbers, _sentence)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return f"{label}: {next(iter(rows['reason']))}"
    text = f"{_summary(measured)}\nperplexity {measured['perplexity'].iloc[0]:.3g}".replace("\n", ", ")
    return f"{label}: {text}"
