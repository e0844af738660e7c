"""Test clips by their embeddings on a plane made by t-SNE, a panel per encoder (Spijkervet 2021, Fig. 6.1).

The thesis colours the crops of ten songs by song. Colours by class show what a head has to tell apart.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels as words
from workflow_scripts.report import number_format, plotting, run_artifacts
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, Method, as_table
from workflow_scripts.report.run_artifacts import Embeddings
from workflow_scripts.statistics import embedding_layout
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.tables.schema import MEASURED, METHOD_FACTORS, MISSING

READS = ("prepare", "embed")
READING = (
    "t-SNE of frozen embeddings of test clips, each encoder by itself. Which points are neighbours can be read; "
    "distances between clusters, their sizes and the axes mean nothing. Under each title: share of the coloured points "
    "whose nearest coloured neighbour in the whole space (by class: from another song) has the same colour, and the "
    "share by chance."
)
#: factors that tell embeddings of one data set apart
ENCODED = tuple(factor for factor in METHOD_FACTORS if factor in PRETRAINING)
COLUMNS = (
    "study",
    "panel",
    "dataset",
    *ENCODED,
    "status",
    "reason",
    "colours",
    "perplexity",
    "agreement",
    "chance",
    "points",
    "source",
    "data",
    "clip",
    "colour",
    "x",
    "y",
)
CLASS, SONG = "class", "song"
OTHERS = "others"
PALE = "#bcc3ca"  # seen on white, and paler than any colour
PANEL_WIDTH, HEIGHT = 3.3, 3.5  # inches: three panels fit a page
LINE = 40  # characters of a title over a panel


class Options(LevelOptions):
    """Options of the colours and of the number of points."""

    colours: Literal["class", "song"] = "class"
    """What is coloured: "class", a point being a clip, or "song", a point being a crop."""
    classes: tuple[str, ...] = Field(default=(), max_length=len(plotting.COLOURS))
    """Classes that have a colour (default: the six with the most test clips); clips with none of them or with several
    are grey."""
    songs: int = Field(default=10, ge=1, le=len(plotting.COLOURS) * len(plotting.MARKERS))
    """Songs, picked at random among those with enough crops (the thesis' 10); where those are too few, the songs with
    the most crops."""
    crops: int = Field(default=60, ge=1)
    """Crops of each song, picked at random (the thesis' 60)."""
    points: int = Field(default=600, ge=embedding_layout.MIN_POINTS)
    """Largest number of points, picked at random."""
    perplexity: float = Field(default=30, ge=1)
    """Approximate number of neighbours that t-SNE considers (the default of van der Maaten's code)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Points:
    """`vectors` (points, size), and of each point its clip, what it is coloured by, and what it is no neighbour of.

    Clips of one song share their tags, so a neighbour from the same song says nothing about the tags.
    """

    vectors: np.ndarray
    clips: np.ndarray
    colours: np.ndarray
    apart: np.ndarray


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """One row per panel and point with its place, or one that says why an encoder is missing.

    Of several checkpoints the first is drawn. Methods that share embeddings share a panel. `UserError` for a class that
    the data set does not have, or where no encoder is evaluated as it is.
    """
    rows: list[dict[str, object]] = []
    for label, method in _encoders(evidence.methods, study=study).items():
        levels = {factor: method.levels[factor] for factor in ("dataset", *ENCODED)}
        shared = {"study": study.name, "panel": label, **levels, "colours": options.colours}
        rows += [shared | row for row in _map(method, options, study=study)]
    return as_table(rows, COLUMNS)


def _encoders(methods: Sequence[Method], *, study: Study) -> dict[str, Method]:
    """A method for each encoder that is evaluated as it is and each data set, by the label of its panel."""
    found: dict[tuple[str, ...], Method] = {}
    for method in methods:
        if any(job.stage == "embed" for job in method.evaluations[0].jobs):
            found.setdefault(tuple(method.levels[factor] for factor in ("dataset", *ENCODED)), method)
    if not found:
        raise UserError(f"study {study.name}: figure embedding_map needs scenario frozen in the grid, or floors")
    several = len({method.levels["dataset"] for method in found.values()}) > 1
    apart = _apart([method for method in found.values() if not method.floor], study=study)
    labels: dict[str, Method] = {}
    for method in found.values():
        shown = plotting.level_names(method.levels, ["encoder"] if method.floor else apart)
        labels[f"{words.name(method.levels['dataset'])}, {shown}" if several else shown] = method
    return labels


def _apart(methods: Sequence[Method], *, study: Study) -> list[str]:
    """Factors that tell encoders apart: those of the table's rows if they do, otherwise all in which they differ."""

    def encoders(factors: Sequence[str]) -> int:
        return len({tuple(method.levels[factor] for factor in factors) for method in methods})

    differing = [factor for factor in ENCODED if encoders([factor]) > 1]
    rows = [factor for factor in study.rows if factor in differing]
    return (rows if encoders(rows) == encoders(ENCODED) else differing) or ["encoder"]


def _map(method: Method, options: Options, *, study: Study) -> list[dict[str, object]]:
    found = run_artifacts.embeddings(method.evaluations[0])
    if found is None:
        return [{"status": MISSING, "reason": method.reason or NOT_RUN}]
    facts = found.corpus.facts
    shared: dict[str, object] = {"source": facts.source, "data": facts.content}
    if options.colours == SONG and len(found.clips) == len(set(found.clips)):
        return [shared | {"status": MISSING, "reason": "one embedding a clip: songs need an encoder that hears crops"}]
    points = _songs(found, options) if options.colours == SONG else _classes(found, options, study=study)
    if len(points.vectors) < embedding_layout.MIN_POINTS:
        return [shared | {"status": MISSING, "reason": f"fewer than {embedding_layout.MIN_POINTS} points"}]
    perplexity = embedding_layout.usable_perplexity(options.perplexity, len(points.vectors))
    places = embedding_layout.tsne(points.vectors, perplexity=perplexity)
    coloured = points.colours != OTHERS
    same, chance = (np.nan, np.nan)
    if coloured.sum() >= embedding_layout.MIN_POINTS:
        same, chance = embedding_layout.agreement(
            points.vectors[coloured], classes=points.colours[coloured], apart=points.apart[coloured]
        )
    shared |= {"status": MEASURED, "perplexity": perplexity, "agreement": 100 * same, "chance": 100 * chance}
    return [
        shared | {"points": len(places), "clip": clip, "colour": colour, "x": x, "y": y}
        for clip, colour, (x, y) in zip(points.clips, points.colours, places, strict=True)
    ]


def _classes(found: Embeddings, options: Options, *, study: Study) -> _Points:
    """Some of the test clips, each with its one chosen class, or `OTHERS`."""
    corpus = found.corpus
    vectors, rows = found.of_clips
    places = _chosen(corpus, rows, options, study=study)
    has = corpus.labels[rows][:, places] == 1
    names = np.array([corpus.facts.classes[place] for place in places])
    colours = np.where(has.sum(axis=1) == 1, names[has.argmax(axis=1)], OTHERS)
    kept = _some(np.arange(len(rows)), options.points)
    return _Points(
        vectors=vectors[kept],
        clips=_named(corpus, "clip", rows[kept]),
        colours=colours[kept],
        apart=_named(corpus, "group", rows[kept]),
    )


def _chosen(corpus: Corpus, rows: np.ndarray, options: Options, *, study: Study) -> list[int]:
    """Columns of the classes that have a colour."""
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
    return [int(place) for place in np.argsort(-counts, kind="stable")[: len(plotting.COLOURS)]]


def _songs(found: Embeddings, options: Options) -> _Points:
    """Crops of some test songs, of each as many where they have them; clips of one group are of one song."""
    song = found.corpus.clips["group"].to_numpy()[found.clips]
    names, counts = np.unique(song, return_counts=True)
    chosen = names[_some(np.flatnonzero(counts >= options.crops), options.songs)]
    if len(chosen) < options.songs:
        chosen = names[np.argsort(-counts, kind="stable")[: options.songs]]
    crops = [_some(np.flatnonzero(song == name), options.crops) for name in chosen]
    kept = _some(np.sort(np.concatenate(crops)), options.points)
    colours = {name: f"song {number:02d}" for number, name in enumerate(chosen, start=1)}
    return _Points(
        vectors=found.vectors[kept],
        clips=_named(found.corpus, "clip", found.clips[kept]),
        colours=np.array([colours[name] for name in song[kept]]),
        apart=np.arange(len(kept)),
    )


def _some(places: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the places, in their order; the same ones for all encoders that have them all."""
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng(0).choice(places, most, replace=False))


def _named(corpus: Corpus, column: str, rows: np.ndarray) -> np.ndarray:
    return corpus.clips[column].to_numpy()[rows].astype(str)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw what `numbers` returned."""
    styles = _styles(numbers, options)
    grouped = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(grouped), width=PANEL_WIDTH)
    width = max(PANEL_WIDTH * columns, 4.5)
    handles = [Line2D([], [], linestyle="none", label=name, **style) for name, style in styles.items()]
    legend_columns = plotting.legend_columns(handles, width=width)
    legend_rows = -(-len(handles) // legend_columns)
    figure = plotting.new_figure(width, HEIGHT * rows + plotting.LEGEND_HEIGHT * legend_rows)
    axes = plotting.add_panels(figure, rows, columns, len(grouped))
    for panel, (label, within) in zip(axes, grouped, strict=True):
        _panel(panel, label, within, styles=styles)
    plotting.add_legend(figure, handles, columns=legend_columns)
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _styles(numbers: pd.DataFrame, options: Options) -> dict[str, dict[str, Any]]:
    """Classes in the order of the option, or of their points; songs by number."""
    drawn = plotting.measured_rows(numbers)
    counts = drawn.loc[drawn["colour"] != OTHERS, "colour"].value_counts()
    names = sorted(map(str, counts.index))
    if options.colours == CLASS:
        stated = list(options.classes)
        names.sort(key=lambda name: stated.index(name) if stated else -counts[name])
    styles = {name: {**plotting.distinct_style(place), "markersize": 4} for place, name in enumerate(names)}
    if (drawn["colour"] == OTHERS).any():
        styles[OTHERS] = {"color": PALE, "marker": ".", "markersize": 4}
    return styles


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, styles: Mapping[str, Mapping[str, Any]]) -> None:
    plotting.hide_scales(panel)
    panel.spines[:].set_color(plotting.GRID)
    found = plotting.measured_rows(rows)
    if found.empty:
        panel.set_title("\n".join([*textwrap.wrap(label, LINE), in_short(next(iter(rows["reason"])))]))
        return
    panel.set_title("\n".join([*textwrap.wrap(f"{label} ({next(iter(found['source']))})", LINE), _said(found)]))
    for name in [OTHERS, *(name for name in styles if name != OTHERS)]:  # what has a colour lies above
        mine = found[found["colour"] == name]
        if len(mine):
            panel.plot(mine["x"], mine["y"], linestyle="none", markeredgewidth=0, **styles[name])
    panel.set_aspect("equal", adjustable="datalim")


def _said(rows: pd.DataFrame) -> str:
    """Points, or songs and their crops, perplexity, and how often neighbours agree."""
    first = rows.iloc[0]
    by_song = first["colours"] == SONG
    shown = f"{_songs_shown(rows)}\n" if by_song else f"{number_format.count(int(first['points']), 'points')}, "
    said = f"{shown}perplexity {first['perplexity']:.3g}"
    if pd.isna(first["agreement"]):
        return said
    shares = [number_format.number(first[name], 0) for name in ("agreement", "chance")]
    return f"{said}\nneighbours agree: {shares[0]} % (by chance {shares[1]} %)"


def _songs_shown(rows: pd.DataFrame) -> str:
    """How many songs, and how many crops of each."""
    crops = rows["colour"].value_counts()
    fewest, most = int(crops.min()), int(crops.max())
    return (
        f"{number_format.count(len(crops), 'songs')} of {most if fewest == most else f'{fewest} to {most}'} crops each"
    )


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Points and agreement of neighbours of every panel."""
    said = []
    coloured = next(iter(numbers["colours"]), CLASS)
    for label, rows in plotting.groups(numbers, "panel"):
        found = plotting.measured_rows(rows)
        text = next(iter(rows["reason"])) if found.empty else _said(found).replace("\n", ", ")
        said.append(f"{label}: {text}")
    warning = f"coloured by {coloured}; distances between clusters mean nothing"
    return f"Map of embeddings by t-SNE, {warning}. {'. '.join(said)}."
