"""A study's table and its comparisons as data: what every rendering (csv, md, tex, html, terminal) shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from workflow_scripts.planning.manifest import Comparison, Study
from workflow_scripts.report import labels as words
from workflow_scripts.report import secondary_tables as parts
from workflow_scripts.report.secondary_tables import TWIN, Part, sources
from workflow_scripts.statistics.estimation import TEST_SET
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.inference.confidence_intervals import CONFIDENCE_LEVEL
from workflow_scripts.statistics.tables.schema import (
    BETTER,
    METHOD_FACTORS,
    MISSING,
    NOT_SHOWN,
    REFUSED,
    SETTINGS,
    WORSE,
)

LISTED = 6  # numbers that are missing for the same reason, in its note; each has it in place
UNKNOWN = "source unknown here"  # of a corpus that others pre-trained on
NOTHING = "none"  # in place of a source or count, and the level of what a run does not have
ERROR_COLUMNS = {"pretraining seeds": "se_pretraining_seed", "trials": "se_trial", TEST_SET: "se_test_set"}
FROM_SCRATCH = "supervised"  # the scenario without pre-training
TWIN_WARNING = (
    "Source twin: a small synthetic data set in the layout of the real one. "
    "Twin numbers must not be compared with published numbers."
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number of a table, already scaled to the printed unit; `mean` is None where nothing was measured.

    `errors` are the standard errors that its uncertainty is made of, by what causes them.
    """

    mean: float | None
    half_width: float | None
    rank: str  # "best", "tied" or ""
    reason: str  # why it, or a part of it, is missing
    errors: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Column:
    """One data set (or other setting) in one metric, and what was measured on.

    `levels` are those of the study's columns; `label` says them, and the metric where the table has several.
    """

    levels: tuple[str, ...]
    label: str
    metric: str
    source: str
    test_clips: str
    quarantined: str

    @property
    def heading(self) -> str:
        """Label with the data source, where there are data."""
        return self.label if self.source == NOTHING else f"{self.label} ({self.source})"

    @property
    def measure(self) -> words.Measure:
        """How its numbers are printed."""
        return words.measure(self.metric)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method or floor; entries in the order of the columns."""

    labels: tuple[str, ...]
    floor: bool
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
    evidence: str
    effect: str
    p: str
    p_sign_flip: str
    p_holm: str
    p_holm_other_clips: str
    verdict: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A study's table with everything needed to read it."""

    study: str
    title: str
    question: str
    measures: tuple[words.Measure, ...]  # of all its columns, each once
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    parts: tuple[Part, ...] = ()

    @property
    def caption(self) -> str:
        """Title, metrics and unit."""
        return f"{self.title}: {_headings(self.measures)}"

    @property
    def difference_unit(self) -> str:
        """Unit of differences, where all comparisons have the same."""
        units = {measure.difference_unit for measure in self.measures}
        return units.pop() if len(units) == 1 else ""

    @property
    def outcomes_in_short(self) -> str:
        """How many comparisons ended how."""
        counts = Counter(outcome.verdict.partition(":")[0] for outcome in self.outcomes)
        said = "; ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
        return f"Of {words.counted(len(self.outcomes), 'comparisons')}: {said}."


def build(study: Study, numbers: Mapping[str, pd.DataFrame]) -> Table:
    """Lay out a study's rows of the tables that `aggregate` wrote; floors come last, otherwise in planned order."""
    mine = {name: frame[frame["study"] == study.name] for name, frame in numbers.items()}
    entries, compared = mine["entries"], mine["comparisons"]
    metrics = list(dict.fromkeys(entries["metric"])) or [study.metric]
    records = _records(entries)
    by_column = _grouped(records, (*study.columns, "metric"))
    columns = {key: _column(key, group, several=len(metrics) > 1) for key, group in by_column.items()}
    rows = [_row(key, group, study, columns) for key, group in _grouped(records, study.rows).items()]
    measures = tuple(words.measure(metric) for metric in metrics)
    return Table(
        study=study.name,
        title=study.title,
        question=study.question,
        measures=measures,
        stub=tuple(words.name(factor) for factor in study.rows),
        columns=tuple(columns.values()),
        rows=tuple(sorted(rows, key=lambda row: row.floor)),
        outcomes=tuple(_outcome(row, study, compared) for row in _records(compared)),
        notes=tuple(_notes(study, mine, measures)),
        parts=tuple(part for metric in metrics for part in _parts(study, metric, mine, several=len(metrics) > 1)),
    )


def _parts(study: Study, metric: str, mine: Mapping[str, pd.DataFrame], *, several: bool) -> Iterable[Part]:
    """What stands below the table about one metric: in sight for the study's own, on demand for the others."""
    in_metric = {name: frame[frame["metric"] == metric] for name, frame in mine.items()}
    measure = words.measure(metric)
    for part in parts.build(study, in_metric, measure):
        named = replace(part, title=f"{part.title} ({measure.name})") if several else part
        yield named if metric == study.metric else replace(named, folded=True)


def _headings(measures: Sequence[words.Measure]) -> str:
    """Names of metrics with their unit, which is said once where it is the same."""
    names = words.listed([measure.name for measure in measures])
    units = list(dict.fromkeys(measure.unit for measure in measures))
    return f"{names} ({units[0]})" if len(units) == 1 and units[0] else names


def tidy(study: Study, entries: pd.DataFrame) -> pd.DataFrame:
    """A study's table with one row per number, in the printed unit, unrounded."""
    mine = entries[entries["study"] == study.name]
    measures = [words.measure(metric) for metric in mine["metric"]]
    scale = np.array([measure.scale for measure in measures])
    kept = [
        "kind",
        *METHOD_FACTORS,
        "pretrain_seeds",
        "status",
        "reason",
        "mark",
        "best_or_tied",
        "replicate",
        "trials",
    ]
    table = mine[
        [*kept, "n_pretraining_seeds", "test_clips", "clusters", "quarantined", "source", "data", "corpus_source"]
    ].copy()
    table.insert(0, "study", study.name)
    table.insert(1, "metric", mine["metric"])
    table.insert(2, "unit", [measure.unit for measure in measures])
    for column in ("mean", "ci_low", "ci_high"):
        table[column] = mine[column] * scale
    table["half_width"] = (table["ci_high"] - table["ci_low"]) / 2
    table["variance_sources"] = mine["variance_sources"]
    for column in ERROR_COLUMNS.values():
        table[column] = mine[column] * scale
    return table


def tidy_comparisons(study: Study, comparisons: pd.DataFrame, table: Table) -> pd.DataFrame:
    """A study's comparisons with differences in the printed unit, unrounded, and the sentence that says each."""
    mine = comparisons[comparisons["study"] == study.name].copy()
    measures = [words.measure(metric) for metric in mine["metric"]]
    errors = [*ERROR_COLUMNS.values(), "std_error", "fixed_test_set_ci_low", "fixed_test_set_ci_high"]
    for column in ("mean", "ci_low", "ci_high", *errors):
        mine[column] *= [measure.scale for measure in measures]
    mine.insert(list(mine.columns).index("metric") + 1, "unit", [measure.difference_unit for measure in measures])
    mine["sentence"] = [outcome.sentence for outcome in table.outcomes]
    return mine


def _grouped(records: Iterable[dict], factors: Sequence[str]) -> dict[tuple[str, ...], list[dict]]:
    """Groups in the order of their first row."""
    groups: dict[tuple[str, ...], list[dict]] = {}
    for record in records:
        groups.setdefault(tuple(str(record[factor]) for factor in factors), []).append(record)
    return groups


def _records(frame: pd.DataFrame) -> list[dict]:
    return frame.to_dict("records")


def _column(key: tuple[str, ...], group: Sequence[dict], *, several: bool) -> Column:
    """Column of the levels and the metric that are its key."""
    measured = _measured(group)
    *levels, metric = key
    named = [words.name(level) for level in levels]
    return Column(
        levels=tuple(levels),
        label=", ".join([*named, words.measure(metric).name] if several else named),
        metric=metric,
        source=", ".join(sources(record["source"] for record in measured)) or NOTHING,
        test_clips=_range(measured, "test_clips") + _in_groups(measured),
        quarantined=_range(measured, "quarantined"),
    )


def _row(
    key: tuple[str, ...],
    group: Sequence[dict],
    study: Study,
    columns: Mapping[tuple[str, ...], Column],
) -> Row:
    by_column = {tuple(str(record[name]) for name in (*study.columns, "metric")): record for record in group}
    measured = _measured(group)
    floor = all(record["kind"] == "floor" for record in group)
    return Row(
        labels=tuple(words.name(level) for level in key),
        floor=floor,
        entries=tuple(_entry(by_column.get(key), column.measure) for key, column in columns.items()),
        trials=_range(measured, "trials"),
        checkpoints=_range(measured, "n_pretraining_seeds")
        if any(record["n_pretraining_seeds"] for record in measured)
        else NOTHING,
    )


def _measured(records: Iterable[dict]) -> list[dict]:
    return [record for record in records if record["status"] != MISSING]


def _entry(record: dict | None, measure: words.Measure) -> Entry:
    if record is None:
        return Entry(mean=None, half_width=None, rank="", reason="not planned")
    if record["status"] == MISSING:
        return Entry(mean=None, half_width=None, rank="", reason=record["reason"])
    half_width = (record["ci_high"] - record["ci_low"]) / 2 * measure.scale
    return Entry(
        mean=record["mean"] * measure.scale,
        half_width=half_width if math.isfinite(half_width) else None,
        rank=record["best_or_tied"],
        reason=record["reason"],
        errors=tuple(
            (name, record[column] * measure.scale)
            for name, column in ERROR_COLUMNS.items()
            if math.isfinite(record[column])
        ),
    )


def _in_groups(records: Sequence[dict]) -> str:
    """In how many groups of one artist or song the test clips are, where that is known."""
    known = _range(records, "clusters")
    return f" in {known} groups" if known != NOTHING else ""


def _range(records: Iterable[dict], column: str) -> str:
    present = [int(record[column]) for record in records if not pd.isna(record[column])]
    if not present:
        return NOTHING
    low, high = min(present), max(present)
    return f"{low:,}" if low == high else f"{low:,}{words.RANGE}{high:,}"


def _notes(study: Study, mine: Mapping[str, pd.DataFrame], measures: Sequence[words.Measure]) -> Iterable[str]:
    entries = mine["entries"]
    measured = entries[entries["status"] != MISSING]
    yield from _about_numbers(measured, measures)
    yield from _about_pretraining(measured[measured["n_pretraining_seeds"] > 0])
    if measured[["source", "corpus_source"]].isin([TWIN]).any(axis=None):
        yield TWIN_WARNING
    yield from _about_comparisons(mine["comparisons"])
    for key, column in _grouped(_records(measured), study.columns).items():
        if len({record["data"] for record in column}) > 1:
            yield f"{', '.join(words.name(level) for level in key)}: measured on different data, so not ranked."
    if len(measured) < len(entries):
        absent = words.counted(len(entries) - len(measured), "numbers")
        yield f"{words.capital(absent)} of {len(entries):,} missing, with the reason in place."
    for reason, of_reason in entries[entries["reason"] != ""].groupby("reason", sort=False):
        labels = list(  # a cell that lacks several metrics for one reason is named once
            dict.fromkeys(
                ", ".join(words.name(record[factor]) for factor in (*study.rows, *study.columns))
                for record in _records(of_reason)
            )
        )
        more = f" and {len(labels) - LISTED:,} more" if len(labels) > LISTED else ""
        yield f"{'; '.join(labels[:LISTED])}{more}: {reason}."
    if study.notes:
        yield study.notes


def _about_pretraining(pretrained: pd.DataFrame) -> Iterable[str]:
    """What the encoders heard before, and what one checkpoint of them cannot tell."""
    if pretrained.empty:
        return
    corpora = pretrained[["corpus", "corpus_source"]].drop_duplicates().itertuples(index=False)
    yield f"Pre-trained on {'; '.join(f'{words.name(name)} ({source or UNKNOWN})' for name, source in corpora)}."
    alone = pretrained["n_pretraining_seeds"] == 1
    if alone.any():
        what = "the table shows" if alone.all() else "a row with 1 in the column of checkpoints shows"
        yield (
            f"One checkpoint: what {what} is true of this checkpoint, not of the method; "
            "another pre-training seed may give another result."
        )


def _about_numbers(measured: pd.DataFrame, measures: Sequence[words.Measure]) -> Iterable[str]:
    """What stands before and after ±, and what the marks mean."""
    names, units = words.listed([each.name for each in measures]), {each.unit for each in measures}
    in_unit = f" in {units.pop()}" if len(units) == 1 and units != {""} else ""
    kinds = [covers for covers in dict.fromkeys(measured["variance_sources"]) if covers]
    spans = (
        ", or for ".join(
            f"other {words.listed([words.written(each) for each in covers.split(' and ')])}" for covers in kinds
        )
        or "other trials"
    )
    yield f"{words.capital(names)}{in_unit}: mean ± half the width of its 95 % interval for {spans}."
    if any(TEST_SET in covers for covers in kinds):
        yield (
            "Other test clips: the test set redrawn in whole groups (one artist, song or repetition), 1,000 times. "
            "In small print, and as columns of the csv file: the standard errors that make up the interval."
        )
    if not all(TEST_SET in covers for covers in measured["variance_sources"]):
        yield "Where other test clips are not mentioned, nothing is known of them: the number is for these test clips."
    if (measured["best_or_tied"] != "").any():
        yield (
            "★ highest mean of the column; † not shown to differ from it at 0.05, adjusted for all pairs of rows in "
            "the column (Bonferroni), since the highest was picked from all of them."
        )


def _about_comparisons(comparisons: pd.DataFrame) -> Iterable[str]:
    if not comparisons["family"].any():
        return
    tests = words.counted(int(comparisons["family"].max()), "tests")
    yield (
        "Comparisons: difference with its 95 % interval, not adjusted; d_z is the mean difference over the standard "
        "deviation of the pairs; p (t) and p (sign flip) are for these test clips, the latter without assuming normal "
        f"noise; p (Holm) is p (t) adjusted by Holm's method over {tests} in this study."
    )
    if comparisons["variance_sources"].str.contains(TEST_SET).any():
        yield (
            "The verdict is at 0.05, adjusted, and for other test clips too (last p): a difference that holds on these "
            "test clips alone is said to."
        )
    unpaired = comparisons["design"] == "unpaired"
    if (unpaired & (comparisons["replicate"] == "trials")).any():
        yield (
            "Unpaired: the two sides have no pairs, so they are compared as separate samples (Welch's test); their d_z "
            "is in units of the root mean square of both deviations."
        )
    if (comparisons["replicate"] == "pretraining seeds").any():
        yield (
            "Checkpoints: what is counted is the checkpoint, since many trials of few checkpoints are no evidence "
            "about a method; what trials add to the error comes on top, and d_z is in units of the deviation between "
            "checkpoints or their pairs."
        )
    flipped = comparisons[comparisons["sign_flip_p"].notna()]
    fewest = flipped[["n", "n_reference"]].max(axis=1).min()
    if len(flipped) and 0.5 ** (fewest - 1) > 1 - CONFIDENCE_LEVEL:
        least = words.p_value(0.5 ** (fewest - 1))
        yield f"With {fewest} differences p (sign flip) is never below {least}: there it can confirm nothing."


def _outcome(record: dict, study: Study, comparisons: pd.DataFrame) -> Outcome:
    measure = words.measure(record["metric"])
    comparison = next(each for each in study.comparisons if each.name == record["comparison"])
    better, than = words.sides(comparison.treatment, comparison.reference)
    setting = _setting(record, comparisons)
    if record["status"] in (MISSING, REFUSED):
        verdict = "missing" if record["status"] == MISSING else "refused"
        why = f"{verdict}: {record['reason']}"
        blank = ("difference", "interval", "evidence", "effect", "p", "p_sign_flip", "p_holm", "p_holm_other_clips")
        return Outcome(
            **dict.fromkeys(blank, ""),
            comparison=comparison.name,
            setting=setting,
            verdict=f"{verdict}: {in_short(record['reason'])}",
            sentence=f"{setting}: {better} and {than} not compared ({why}).",
        )
    known = TEST_SET in record["variance_sources"]
    return Outcome(
        comparison=comparison.name,
        setting=setting,
        difference=words.number(record["mean"] * measure.scale, measure.decimals),
        interval=words.interval(record["ci_low"], record["ci_high"], measure),
        evidence=_evidence(record),
        effect=words.number(record["effect"], 2) if math.isfinite(record["effect"]) else "",
        p=words.p_value(record["fixed_test_set_p"]),
        p_sign_flip=words.p_value(record["sign_flip_p"]),
        p_holm=words.p_value(record["fixed_test_set_p_holm"]),
        p_holm_other_clips=words.p_value(record["p_holm"]) if known else "",
        verdict=_verdict(record),
        sentence=f"{setting}: {_said(comparison, record, measure)}; {_evidence(record)}.",
    )


def _verdict(record: dict) -> str:
    if not record["verdict"]:
        return record["reason"]
    if record["verdict"] == NOT_SHOWN and record["fixed_test_set_verdict"] in (BETTER, WORSE):
        return f"{record['fixed_test_set_verdict']} on these test clips only"
    return record["verdict"]


def _said(comparison: Comparison, record: dict, measure: words.Measure) -> str:
    """The outcome in words, and where it holds on these test clips alone, that."""
    better, than = words.sides(comparison.treatment, comparison.reference)
    mean, low, high = record["mean"], record["ci_low"], record["ci_high"]
    if not record["verdict"]:
        return f"{better} minus {than} is {words.amount(mean, measure)} ({record['reason']})"
    if record["verdict"] == NOT_SHOWN and record["fixed_test_set_verdict"] in (BETTER, WORSE):
        only = words.beats(record["fixed_test_set_verdict"], better, than)
        same = words.directed(mean, record["fixed_test_set_ci_low"], record["fixed_test_set_ci_high"], measure)
        others = words.directed(mean, low, high, measure).removeprefix("by ")
        return f"{only} {same} on these test clips, but not shown for others: {others}"
    if record["verdict"] == NOT_SHOWN:
        size = f"{words.amount(mean, measure)} {words.interval(low, high, measure)}"
        return f"{parts.not_shown(record)} between {better} and {than}: {size}"
    also = ", also for other test clips" if TEST_SET in record["variance_sources"] else " on these test clips"
    return f"{words.beats(record['verdict'], better, than)} {words.directed(mean, low, high, measure)}{also}"


def _evidence(record: dict) -> str:
    """How many replicates of what, and how many test clips."""
    counted = _trials(record) if record["replicate"] == "trials" else _checkpoints(record)
    groups = f" in {int(record['clusters']):,} groups" if not pd.isna(record["clusters"]) else ""
    return f"{counted}, {words.counted(int(record['test_clips']), 'test clips')}{groups}"


def _trials(record: dict) -> str:
    n, n_reference = int(record["n"]), int(record["n_reference"])
    counted = (
        words.counted(n, "trials") if record["design"] == "paired" else f"{n:,} and {n_reference:,} unpaired trials"
    )
    return f"{counted} of one checkpoint" if record["n_pretraining_seeds"] else counted


def _checkpoints(record: dict) -> str:
    """Checkpoints of either side; one without pre-training has none, whatever its single encoder is counted as."""
    n, n_reference = int(record["n"]), int(record["n_reference"])
    if record["design"] == "paired":
        return words.counted(n, "pairs of checkpoints")
    if min(n, n_reference) > 1:
        return f"{n:,} and {n_reference:,} checkpoints"
    alone = " against a single one" if record["n_pretraining_seeds"] == 1 else ""
    return f"{max(n, n_reference):,} checkpoints{alone}"


def _setting(record: dict, comparisons: pd.DataFrame) -> str:
    """The data set with its source, and head or fraction where the study compares within several."""
    named = [
        words.name(record[factor])
        for factor in SETTINGS
        if record[factor] and (factor == "dataset" or comparisons[factor].nunique() > 1)
    ]
    if comparisons["metric"].nunique() > 1:
        named.append(words.measure(record["metric"]).name)
    source = f" ({record['source'].replace(' ', ', ')})" if record["source"] else ""
    return (", ".join(named) or "no data set") + source
