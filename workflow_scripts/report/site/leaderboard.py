"""Leaderboard: the methods of all studies in one table, with one number per data set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from workflow_scripts.levels.factors import NONE
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, table_text
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.number_format import Measure
from workflow_scripts.report.secondary_tables import unique_sources
from workflow_scripts.report.site import studies
from workflow_scripts.report.site.cell_links import CellLinks
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.study_table import PrintedEntry
from workflow_scripts.report.table_text import RANK_WORDS
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING, RANKED_FACTORS

#: factors that name a pre-training only if methods differ in them; workers always do
NAMED_IF_VARIED = ("weighting", "augmentation", "recipe", "corpus")
MAX_TIE_GROUPS = 3  # letters beside a rank: more say no more than the interval of the rank
SETTING = ("scenario", "head", "fraction", "protocol")
Record = dict[Hashable, Any]  # row of a result table
EntryKey = tuple[str, str, tuple[str, ...]]  # study, metric, and levels of `METHOD_FACTORS`
Levels = tuple[str, ...]  # levels of `RANKED_FACTORS`, in their order


@dataclass(frozen=True, kw_only=True)
class ScoreColumn:
    """One data set in one metric: numbers of the same content and metric, which are comparable."""

    dataset: str
    digest: str
    metric: str
    source: str = ""
    test_clips: str = ""
    marked_in: str = ""  # the study whose marks of ranks are shown: that with the most numbers here
    with_digest: bool = False  # whether another column is of the same data set with other content

    @property
    def measure(self) -> Measure:
        """Printed form of the metric."""
        return number_format.measure(self.metric)

    @property
    def label(self) -> str:
        """Data set, marked if it is synthetic, and metric with its unit."""
        content = f" ({self.digest})" if self.with_digest else ""
        return f"{labels.name(self.dataset)}{labels.mark_of_twins(self.source)}{content}, {self.measure.heading}"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number of a method: as printed, with the page of its cells and its place in the column's range, in percent.

    `rank_hint` explains the mark of its rank; empty if it has none in the study whose marks the column shows.
    """

    entry: PrintedEntry
    text: str
    path: str = ""
    rank_hint: str = ""
    low: int = 0
    middle: int = 0
    high: int = 0

    @property
    def sort_key(self) -> str:
        """Mean with six digits; empty without one."""
        return "" if self.entry.mean is None else f"{self.entry.mean:.6g}"

    @property
    def interval(self) -> str:
        """Ends of the interval with six digits, separated by a space; empty without one."""
        return f"{self.entry.low:.6g} {self.entry.high:.6g}" if math.isfinite(self.entry.low) else ""


@dataclass(frozen=True, kw_only=True)
class RankRange:
    """Rank of a method over data sets, as text with its interval and ties."""

    rank: int
    text: str


@dataclass(frozen=True, kw_only=True)
class LeaderboardRow:
    """One method: its levels, what names its pre-training, and its number in each column; None where none is planned.

    `systems` are the places among the leaderboard's systems of those it belongs to.
    """

    levels: Mapping[str, str]
    pretraining: str
    floor: bool
    studies: frozenset[str]
    systems: tuple[int, ...]
    scores: tuple[Score | None, ...]
    rank: RankRange | None

    @property
    def label(self) -> str:
        """Encoder and pre-training, such as "PASE (WLPMCT)"."""
        encoder = labels.name(self.levels["encoder"])
        return f"{encoder} ({self.pretraining})" if self.pretraining else encoder

    @property
    def setting(self) -> tuple[str, ...]:
        """Levels in the order of `SETTING`."""
        return tuple(self.levels[factor] for factor in SETTING)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Choice of rows or columns: its name, its label, and the label of each value."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All methods, the best on the first data set first; `stub` are the factors of `SETTING` in which rows differ."""

    columns: tuple[ScoreColumn, ...] = ()
    rows: tuple[LeaderboardRow, ...] = ()
    stub: tuple[str, ...] = ()
    shared: str = ""
    filters: tuple[Filter, ...] = ()
    ranked_in: Study | None = None  # the study whose ranks over data sets are shown

    @property
    def has_pretraining(self) -> bool:
        """Whether any method names its pre-training."""
        return any(row.pretraining for row in self.rows)

    @property
    def on_training_data(self) -> bool:
        """Whether any number is on data that others trained the encoder on."""
        return any(score and score.entry.on_training_data for row in self.rows for score in row.scores)

    def best_column(self) -> int:
        """Return the place of the column by which the rows are sorted: the one with the most numbers."""
        counts = [sum(_is_measured(row.scores[place]) for row in self.rows) for place in range(len(self.columns))]
        return counts.index(max(counts))


@dataclass(kw_only=True)
class _Method:
    """Entries of a method by column, and the studies that have it."""

    floor: bool = False
    studies: dict[str, None] = field(default_factory=dict)  # an ordered set
    entries: dict[ScoreColumn, Record] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Layout of all rows; `reaches` are the least and the greatest value of each column."""

    columns: Sequence[ScoreColumn]
    reaches: Sequence[tuple[float, float]]
    printed: Mapping[EntryKey, PrintedEntry]
    ranks: Mapping[Levels, RankRange]
    varied: Sequence[str]  # factors of pre-training that a name states
    studies: Mapping[str, Study]
    systems: Sequence[str]
    links: CellLinks

    def row(self, key: Levels, method: _Method) -> LeaderboardRow:
        """Return the row of a method."""
        levels = dict(zip(RANKED_FACTORS, key, strict=True))
        systems = {self.systems.index(studies.group(self.studies[name])) for name in method.studies}
        return LeaderboardRow(
            levels=levels,
            pretraining=_name_pretraining(levels, self.varied),
            floor=method.floor,
            studies=frozenset(method.studies),
            systems=tuple(sorted(systems)),
            scores=tuple(
                self.score(method.entries[column], column, reach) if column in method.entries else None
                for column, reach in zip(self.columns, self.reaches, strict=True)
            ),
            rank=self.ranks.get(key),
        )

    def score(self, record: Record, column: ScoreColumn, reach: tuple[float, float]) -> Score:
        """Return a number as printed."""
        entry = replace(self.printed[_entry_key(record)], deviation=math.nan)
        path = self.links.get(entry.method, "")
        score = Score(entry=entry, text=table_text.entry_text(entry, column.measure), path=path)
        if entry.mean is None:
            return score
        is_marked = entry.rank and record["study"] == column.marked_in
        hint = f"{RANK_WORDS[entry.rank]}, in: {self.studies[record['study']].title}" if is_marked else ""
        ends = (entry.low, entry.high) if math.isfinite(entry.low) else (entry.mean, entry.mean)
        width = (reach[1] - reach[0]) or 1
        low, middle, high = (round(100 * (value - reach[0]) / width) for value in (ends[0], entry.mean, ends[1]))
        return replace(score, rank_hint=hint, low=low, middle=middle, high=high)


def build(inputs: ReportInputs) -> Leaderboard:
    """Return the leaderboard of the entries of all studies whose table could be built."""
    printed = _printed_entries(inputs)
    records = [row for row in inputs.statistics.tables["entries"].to_dict("records") if _entry_key(row) in printed]
    if not records:
        return Leaderboard()
    contents = _contents_of(records)
    columns = list(_choose_columns(records, contents))
    methods = _group_by_method(records, contents, columns)
    ranked_in, ranks = _ranks_by_method(inputs, methods)
    planned = inputs.manifest.studies
    in_columns = [[m.entries[column] for m in methods.values() if column in m.entries] for column in columns]
    layout = _Layout(
        columns=columns,
        reaches=[_range(of_column) for of_column in in_columns],
        printed=printed,
        ranks=ranks,
        varied=[factor for factor in NAMED_IF_VARIED if len(_levels(methods, factor) - {NONE}) > 1],
        studies={study.name: study for study in planned},
        systems=list(dict.fromkeys(studies.group(study) for study in planned)),
        links=inputs.links,
    )
    stub = tuple(factor for factor in SETTING if len(_levels(methods, factor)) > 1)
    board = Leaderboard(
        columns=tuple(columns),
        rows=tuple(layout.row(key, method) for key, method in methods.items()),
        stub=stub,
        shared=_shared(methods, stub),
        ranked_in=ranked_in,
    )
    return replace(board, rows=tuple(_sort(board)), filters=tuple(_filters(board, layout.systems)))


def _contents_of(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return data set and digest of each record; what is missing, without a digest, belongs to the first content."""
    first: dict[str, str] = {}
    for record in records:
        if record["data_digest"]:
            first.setdefault(record["dataset"], record["data_digest"])
    return [(record["dataset"], record["data_digest"] or first.get(record["dataset"], "")) for record in records]


def _choose_columns(records: Sequence[Record], contents: Sequence[tuple[str, str]]) -> Iterator[ScoreColumn]:
    """Yield for each content the metric that most methods have, and further ones while methods are without a number."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record, content in zip(records, contents, strict=True):
        groups.setdefault(content, []).append(record)
    names = [dataset for dataset, _ in groups]
    for (dataset, digest), group in groups.items():
        by_metric: dict[str, set[Levels]] = {}
        for record in group:
            by_metric.setdefault(record["metric"], set()).add(_levels_of(record))
        measured = [record for record in group if record["status"] != MISSING]
        for metric in _cover(by_metric):
            yield ScoreColumn(
                dataset=dataset,
                digest=digest,
                metric=metric,
                source=", ".join(unique_sources(record["source"] for record in measured)),
                test_clips=_test_clips(measured),
                marked_in=_largest_study(measured, metric),
                with_digest=names.count(dataset) > 1,
            )


def _cover(by_metric: Mapping[str, set[Levels]]) -> Iterator[str]:
    """Yield metrics, that of most methods first, until each method has a number in one."""
    left = set().union(*by_metric.values())
    while left:
        metric = max(by_metric, key=lambda metric: len(by_metric[metric] & left))
        left -= by_metric[metric]
        yield metric


def _test_clips(records: Iterable[Record]) -> str:
    counts = sorted({int(record["test_clips"]) for record in records if not pd.isna(record["test_clips"])})
    return number_format.RANGE.join(f"{count:,}" for count in dict.fromkeys([*counts[:1], *counts[-1:]]))


def _largest_study(records: Iterable[Record], metric: str) -> str:
    """Return the study with the most of these records in a metric; the first one if several have."""
    counts = Counter(record["study"] for record in records if record["metric"] == metric)
    return max(counts, key=lambda study: counts[study], default="")


def _group_by_method(
    records: Sequence[Record], contents: Sequence[tuple[str, str]], columns: Sequence[ScoreColumn]
) -> dict[Levels, _Method]:
    """Group the entries by method; of several studies the number of the most pre-training seeds is kept.

    Of equal ones that of the study whose marks are shown is kept, else the first.
    """
    by_key = {(column.dataset, column.digest, column.metric): column for column in columns}

    def weight(record: Record, column: ScoreColumn) -> tuple[bool, int, bool]:
        seeds = record["n_pretraining_seeds"]
        return record["status"] != MISSING, 0 if pd.isna(seeds) else int(seeds), record["study"] == column.marked_in

    methods: dict[Levels, _Method] = {}
    for record, content in zip(records, contents, strict=True):
        method = methods.setdefault(_levels_of(record), _Method())
        method.floor = method.floor or record["kind"] == "floor"
        method.studies[record["study"]] = None
        column = by_key.get((*content, record["metric"]))
        if column is not None:
            known = method.entries.get(column)
            if known is None or weight(record, column) > weight(known, column):
                method.entries[column] = record
    return methods


def _levels_of(record: Record) -> Levels:
    return tuple(str(record[factor]) for factor in RANKED_FACTORS)


def _levels(methods: Iterable[Levels], factor: str) -> set[str]:
    """Return the levels of a factor in any method."""
    place = RANKED_FACTORS.index(factor)
    return {levels[place] for levels in methods}


def _entry_key(record: Record) -> EntryKey:
    return record["study"], record["metric"], tuple(str(record[factor]) for factor in METHOD_FACTORS)


def _printed_entries(inputs: ReportInputs) -> dict[EntryKey, PrintedEntry]:
    """Return the entries of all tables as printed."""
    return {
        (name, column.metric, entry.method): entry
        for name, table in inputs.tables.items()
        if not isinstance(table, Failure)
        for row in table.rows
        for column, entry in zip(table.columns, row.entries, strict=True)
        if entry.method
    }


def _range(records: Iterable[Record]) -> tuple[float, float]:
    """Return the least and the greatest value that a column shows, in the printed unit."""
    ends = [
        record[name] * number_format.measure(record["metric"]).scale
        for record in records
        for name in ("mean", "ci_low", "ci_high")
        if math.isfinite(record[name])
    ]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _ranks_by_method(
    inputs: ReportInputs, methods: Mapping[Levels, _Method]
) -> tuple[Study | None, dict[Levels, RankRange]]:
    """Return the study that ranks the most methods over data sets, and the rank of each of them.

    Ranks of several studies, each among its own methods, would not be comparable.
    """
    frame = inputs.statistics.tables["ranks"]
    measured = frame[frame["rank_low"].notna() & frame["rank_high"].notna()]
    if measured.empty:
        return None, {}
    name = measured["study"].value_counts(sort=False).idxmax()
    study = next(study for study in inputs.manifest.studies if study.name == name)
    of_study = _rank_ranges(measured[measured["study"] == name].to_dict("records"), study)
    named = [
        bool(level) for level in next(iter(of_study))
    ]  # a study leaves out the factors that its table does not show
    ranks = {}
    for levels, method in methods.items():
        key = tuple(level if is_named else "" for level, is_named in zip(levels, named, strict=True))
        if name in method.studies and key in of_study:
            ranks[levels] = of_study[key]
    return study, ranks


def _rank_ranges(records: Sequence[Record], study: Study) -> dict[Levels, RankRange]:
    """Return the ranks of a study in its first metric, by the levels that it names."""
    in_metric = [record for record in records if record["metric"] == records[0]["metric"]]
    settings = [factor for factor in study.columns if factor != "dataset"]
    rivals = Counter(tuple(record[factor] for factor in settings) for record in in_metric)
    return {
        _levels_of(record): _rank(record, n_methods=rivals[tuple(record[factor] for factor in settings)])
        for record in in_metric
    }


def _rank(record: Record, *, n_methods: int) -> RankRange:
    low, high = int(record["rank_low"]), int(record["rank_high"])
    groups = record["tie_groups"].split()
    ties = f" ({' '.join(groups)})" if 0 < len(groups) <= MAX_TIE_GROUPS else ""
    reach = f"{low}" if low == high else f"{low}{number_format.RANGE}{high}"
    return RankRange(rank=int(record["rank"]), text=f"{reach} of {n_methods}{ties}")


def _name_pretraining(levels: Mapping[str, str], varied: Sequence[str]) -> str:
    """Return what tells a pre-training from others, such as "WLPMCT, re-weighted on AudioSet Music"; empty without."""
    named = [factor for factor in ("workers", *varied) if levels[factor] != NONE]
    if levels["workers"] == NONE != levels["corpus"]:
        named.append("corpus")  # of a checkpoint of others, which has no other name
    others = [labels.name(levels[factor]) for factor in named if factor != "corpus"]
    corpus = f"on {labels.name(levels['corpus'])}" if "corpus" in named else ""
    return " ".join(filter(None, [", ".join(others), corpus]))


def _shared(methods: Iterable[Levels], stub: Sequence[str]) -> str:
    """Return what all rows have in common, such as "head linear, pre-training on AudioSet Music"."""
    corpora = _levels(methods, "corpus") - {NONE}
    shared = [(factor, labels.name(factor)) for factor in SETTING if factor not in stub]
    texts = [f"{text} {labels.name(next(iter(_levels(methods, factor))))}" for factor, text in shared]
    return ", ".join([*texts, *(f"pre-training on {labels.name(corpus)}" for corpus in corpora if len(corpora) == 1)])


def _is_measured(score: Score | None) -> bool:
    return score is not None and score.entry.mean is not None


def _sort(board: Leaderboard) -> list[LeaderboardRow]:
    """Return the rows, the highest mean in the best filled column first, those without a number there last."""
    place = board.best_column()

    def key(row: LeaderboardRow) -> float:
        score = row.scores[place]
        return math.inf if score is None or score.entry.mean is None else -score.entry.mean

    return sorted(board.rows, key=key)


def _filters(board: Leaderboard, systems: Sequence[str]) -> Iterator[Filter]:
    """Yield the choices that have at least two values."""
    used = sorted({place for row in board.rows for place in row.systems})
    sources = dict.fromkeys(source for column in board.columns for source in column.source.split(", ") if source)
    choices: dict[str, tuple[str, Mapping[str, str]]] = {"system": ("System", {str(p): systems[p] for p in used})}
    for factor in ("encoder", "scenario", "fraction"):
        levels = dict.fromkeys(row.levels[factor] for row in board.rows)
        choices[factor] = (labels.capital(labels.name(factor)), {level: labels.name(level) for level in levels})
    choices["dataset"] = ("Data set", {column.dataset: labels.name(column.dataset) for column in board.columns})
    choices["source"] = ("Data source", {source: source for source in sources})
    for name, (label, options) in choices.items():
        if len(options) > 1:
            yield Filter(name=name, label=label, options=tuple(options.items()))
