"""A study's table and its comparisons as data: what every rendering (csv, md, tex, html, terminal) shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.report import words
from workflow_scripts.statistics.plan import Comparison, Study
from workflow_scripts.statistics.summary import METHOD_FACTORS, MISSING, REFUSED, SETTINGS

TWIN = "twin"
NOTHING = "none"  # in place of a source or count, and the level of what a run does not have
FROM_SCRATCH = "supervised"  # the scenario without pre-training
TWIN_WARNING = (
    "Source twin: a small synthetic data set in the layout of the real one. "
    "Twin numbers must not be compared with published numbers."
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number of a table, already scaled to the printed unit; `mean` is None where nothing was measured."""

    mean: float | None
    half_width: float | None
    rank: str  # "best", "tied" or ""
    reason: str  # why it, or a part of it, is missing


@dataclass(frozen=True, kw_only=True)
class Column:
    """One data set (or other setting) and what was measured on."""

    label: str
    source: str
    test_clips: str
    quarantined: str

    @property
    def heading(self) -> str:
        """Label with the data source, where there are data."""
        return self.label if self.source == NOTHING else f"{self.label} ({self.source})"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method or floor; entries in the order of the columns."""

    labels: tuple[str, ...]
    floor: bool
    reference: bool  # what the others are measured against: a floor, or training from scratch
    entries: tuple[Entry, ...]
    trials: str
    checkpoints: str

    @property
    def label(self) -> str:
        """Labels in one, such as "PASE, frozen"; levels that say "none" are left out."""
        return ", ".join(label for label in self.labels if label != NOTHING)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One comparison on one data set, in words and printed numbers."""

    comparison: str
    setting: str
    difference: str
    interval: str
    replicates: str
    effect: str
    p: str
    p_holm: str
    verdict: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A study's table with everything needed to read it."""

    study: str
    title: str
    measure: words.Measure
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]

    @property
    def caption(self) -> str:
        """Title, metric and unit."""
        return f"{self.title}: {self.measure.heading}"


def build(study: Study, *, entries: pd.DataFrame, comparisons: pd.DataFrame) -> Table:
    """Lay out a study's rows of `entries.csv` and `comparisons.csv`; floors come last, otherwise in planned order."""
    mine, compared = (frame[frame["study"] == study.name] for frame in (entries, comparisons))
    measure = words.measure(study.metric)
    columns = {key: _column(key, rows) for key, rows in _groups(mine, study.columns)}
    rows = [_row(key, group, study, list(columns), measure) for key, group in _groups(mine, study.rows)]
    return Table(
        study=study.name,
        title=study.title,
        measure=measure,
        stub=tuple(words.name(factor) for factor in study.rows),
        columns=tuple(columns.values()),
        rows=tuple(sorted(rows, key=lambda row: row.floor)),
        outcomes=tuple(_outcome(row, study, compared, measure) for row in _records(compared)),
        notes=tuple(_notes(study, mine, compared, measure)),
    )


def tidy(study: Study, entries: pd.DataFrame) -> pd.DataFrame:
    """A study's table with one row per number, in the printed unit, unrounded."""
    mine = entries[entries["study"] == study.name]
    measure = words.measure(study.metric)
    kept = ["kind", *METHOD_FACTORS, "pretrain_seeds", "status", "reason", "rank", "replicate", "trials", "checkpoints"]
    table = mine[[*kept, "test_clips", "quarantined", "source", "data"]].copy()
    table.insert(0, "study", study.name)
    table.insert(1, "metric", study.metric)
    table.insert(2, "unit", measure.unit)
    for column in ("mean", "low", "high"):
        table[column] = mine[column] * measure.scale
    table["half_width"] = (table["high"] - table["low"]) / 2
    return table


def tidy_comparisons(study: Study, comparisons: pd.DataFrame, table: Table) -> pd.DataFrame:
    """A study's comparisons with differences in the printed unit, unrounded, and the sentence that says each."""
    mine = comparisons[comparisons["study"] == study.name].copy()
    for column in ("mean", "low", "high"):
        mine[column] *= table.measure.scale
    mine.insert(list(mine.columns).index("metric") + 1, "unit", table.measure.difference_unit)
    mine["sentence"] = [outcome.sentence for outcome in table.outcomes]
    return mine


def _groups(frame: pd.DataFrame, factors: Sequence[str]) -> Iterable[tuple[tuple[str, ...], pd.DataFrame]]:
    """Groups in the order of their first row."""
    for key, group in frame.groupby(list(factors), sort=False):
        yield tuple(str(level) for level in key), group


def _records(frame: pd.DataFrame) -> list[dict]:
    return frame.to_dict("records")


def _column(key: tuple[str, ...], rows: pd.DataFrame) -> Column:
    measured = rows[rows["status"] != MISSING]
    return Column(
        label=", ".join(words.name(level) for level in key),
        source=_sources(measured),
        test_clips=_range(measured["test_clips"]),
        quarantined=_range(measured["quarantined"]),
    )


def _row(
    key: tuple[str, ...], group: pd.DataFrame, study: Study, columns: Sequence[tuple[str, ...]], measure: words.Measure
) -> Row:
    by_column = {tuple(record[factor] for factor in study.columns): record for record in _records(group)}
    measured = group[group["status"] != MISSING]
    floor = bool((group["kind"] == "floor").all())
    return Row(
        labels=tuple(words.name(level) for level in key),
        floor=floor,
        reference=floor or bool((group["scenario"] == FROM_SCRATCH).all()),
        entries=tuple(_entry(by_column.get(column), measure) for column in columns),
        trials=_range(measured["trials"]),
        checkpoints=_range(measured["checkpoints"]) if measured["checkpoints"].any() else NOTHING,
    )


def _entry(record: dict | None, measure: words.Measure) -> Entry:
    if record is None:
        return Entry(mean=None, half_width=None, rank="", reason="not planned")
    if record["status"] == MISSING:
        return Entry(mean=None, half_width=None, rank="", reason=record["reason"])
    half_width = (record["high"] - record["low"]) / 2 * measure.scale
    return Entry(
        mean=record["mean"] * measure.scale,
        half_width=half_width if math.isfinite(half_width) else None,
        rank=record["rank"],
        reason=record["reason"],
    )


def _sources(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(source for sources in rows["source"] for source in sources.split())) or NOTHING


def _range(counts: pd.Series) -> str:
    present = counts.dropna()
    if present.empty:
        return NOTHING
    low, high = int(present.min()), int(present.max())
    return f"{low:,}" if low == high else f"{low:,}{words.RANGE}{high:,}"


def _notes(study: Study, entries: pd.DataFrame, comparisons: pd.DataFrame, measure: words.Measure) -> Iterable[str]:
    measured = entries[entries["status"] != MISSING]
    in_unit = f" in {measure.unit}" if measure.unit else ""
    yield f"{words.capital(measure.name)}{in_unit}: mean ± half the width of its 95 % t interval."
    if (measured["rank"] != "").any():
        yield (
            "★ highest mean of the column; † not shown to differ from it "
            "(the 95 % interval of the paired difference includes zero)."
        )
    if measured["source"].str.contains(TWIN).any():
        yield TWIN_WARNING
    if (measured["checkpoints"] == 1).any():
        yield (
            "One checkpoint: the interval spans the trials of that checkpoint. "
            "What it shows is true of this checkpoint; another pre-training seed may give another result."
        )
    if (measured["replicate"] == "checkpoints").any():
        yield "Several checkpoints: the interval spans the means of the checkpoints."
    if measured["low"].isna().any():
        yield "No interval: there are fewer than three trials or checkpoints."
    if comparisons["family"].any():
        tests = words.counted(int(comparisons["family"].max()), "tests")
        yield (
            "Comparisons: difference of paired trials with its 95 % t interval, not adjusted; "
            "d_z is the mean difference over its standard deviation; "
            f"the verdict uses p adjusted by Holm over {tests} in this study, at 0.05."
        )
    for key, column in _groups(measured, study.columns):
        if column["data"].nunique() > 1:
            yield f"{', '.join(words.name(level) for level in key)}: measured on different data, so not ranked."
    for record in _records(entries[entries["reason"] != ""]):
        labels = ", ".join(words.name(record[factor]) for factor in (*study.rows, *study.columns))
        yield f"{labels}: {record['reason']}."
    if study.notes:
        yield study.notes


def _outcome(record: dict, study: Study, comparisons: pd.DataFrame, measure: words.Measure) -> Outcome:
    comparison = next(each for each in study.comparisons if each.name == record["comparison"])
    setting = _setting(record, comparisons)
    if record["status"] in (MISSING, REFUSED):
        verdict = f"{'missing' if record['status'] == MISSING else 'refused'}: {record['reason']}"
        return Outcome(
            **dict.fromkeys(("difference", "interval", "replicates", "effect", "p", "p_holm"), ""),
            comparison=comparison.name,
            setting=setting,
            verdict=verdict,
            sentence=f"{setting}: {_sides(comparison)[0]} and {_sides(comparison)[1]} not compared ({verdict}).",
        )
    mean, low, high = (record[column] * measure.scale for column in ("mean", "low", "high"))
    return Outcome(
        comparison=comparison.name,
        setting=setting,
        difference=words.number(mean, measure.decimals),
        interval=_interval(low, high, measure),
        replicates=words.counted(int(record["n"]), record["replicate"]),
        effect=words.number(record["effect"], 2) if math.isfinite(record["effect"]) else "",
        p=words.p_value(record["p"]),
        p_holm=words.p_value(record["p_holm"]),
        verdict=record["verdict"] or record["reason"],
        sentence=f"{setting}: {_said(comparison, record, measure)}, {_evidence(record)}.",
    )


def _said(comparison: Comparison, record: dict, measure: words.Measure) -> str:
    better, than = _sides(comparison)
    mean, low, high = (record[column] * measure.scale for column in ("mean", "low", "high"))
    unit = f" {measure.difference_unit}" if measure.difference_unit else ""
    size = f"{words.number(abs(mean), measure.decimals)}{unit}"
    if record["verdict"] == "better":
        return f"{better} beats {than} by {size} {_interval(low, high, measure)}"
    if record["verdict"] == "worse":
        return f"{better} is worse than {than} by {size} {_interval(-high, -low, measure)}"
    signed = f"{words.number(mean, measure.decimals)}{unit}"
    if record["verdict"]:
        return f"no difference shown between {better} and {than}: {signed} {_interval(low, high, measure)}"
    return f"{better} minus {than} is {signed} ({record['reason']})"


def _evidence(record: dict) -> str:
    replicates = words.counted(int(record["n"]), record["replicate"])
    return (
        f"{replicates} of one checkpoint" if record["replicate"] == "trials" and record["checkpoints"] else replicates
    )


def _sides(comparison: Comparison) -> tuple[str, str]:
    return words.selection(comparison.better), words.selection(comparison.than, apart_from=comparison.better)


def _setting(record: dict, comparisons: pd.DataFrame) -> str:
    """The data set with its source, and head or fraction where the study compares within several."""
    parts = [
        words.name(record[factor])
        for factor in SETTINGS
        if record[factor] and (factor == "dataset" or comparisons[factor].nunique() > 1)
    ]
    source = f" ({record['source'].replace(' ', ', ')})" if record["source"] else ""
    return (", ".join(parts) or "no data set") + source


def _interval(low: float, high: float, measure: words.Measure) -> str:
    if not math.isfinite(low):
        return ""
    return f"[{words.number(low, measure.decimals)}, {words.number(high, measure.decimals)}]"
