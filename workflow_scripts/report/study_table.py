"""Table of a study with its comparisons, as data for every renderer (csv, md, tex, html, terminal)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, secondary_tables
from workflow_scripts.report.comparison_text import PrintedComparison, count_verdicts, format_comparison
from workflow_scripts.report.labels import NOTHING
from workflow_scripts.report.notes import NoteSection, write_notes
from workflow_scripts.report.number_format import Measure
from workflow_scripts.report.secondary_tables import SecondaryTable, unique_sources
from workflow_scripts.statistics.estimation import TEST_SET
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING

#: columns of the standard errors by source of variance
STANDARD_ERRORS = {"pretraining seeds": "se_pretraining_seed", "trials": "se_trial", TEST_SET: "se_test_set"}
FROM_SCRATCH = "supervised"  # the scenario without pre-training


@dataclass(frozen=True, kw_only=True)
class PrintedEntry:
    """One number of a table in the printed unit; `mean` is None if nothing was measured.

    `low` and `high` are the ends of its interval, not-a-number without one; `std_errors` are the standard errors that
    make it up, by source of variance. `deviation` is the standard deviation of the replicates, if the study prints it.
    """

    mean: float | None
    low: float
    high: float
    rank: str  # "best", "tied" or ""
    reason: str  # why the number, or a part of it, is missing
    std_errors: tuple[tuple[str, float], ...] = ()
    deviation: float = math.nan
    on_training_data: bool = False  # whether others trained the encoder on the data set
    method: tuple[str, ...] = ()  # its levels of `METHOD_FACTORS`; empty if nothing was planned


@dataclass(frozen=True, kw_only=True)
class Column:
    """One data set (or other setting) in one metric, with the size and source of its test set.

    `levels` are those of the study's column factors; `label` names them, and the metric if the table has several.
    """

    levels: tuple[str, ...]
    label: str
    metric: str
    source: str
    test_clips: str
    quarantined: str

    @property
    def heading(self) -> str:
        """Label, which says so where data are synthetic; all sources are in a row of the table."""
        return self.label + labels.mark_of_twins(self.source)

    @property
    def measure(self) -> Measure:
        """Printed form of its metric."""
        return number_format.measure(self.metric)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method or floor; entries in the order of the columns."""

    labels: tuple[str, ...]
    floor: bool
    entries: tuple[PrintedEntry, ...]
    trials: str
    pretraining_seeds: str

    @property
    def label(self) -> str:
        """All labels but "none", such as "PASE, frozen"."""
        return ", ".join(label for label in self.labels if label != NOTHING)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A study's table with all that is printed around it."""

    study: str
    title: str
    question: str
    measures: tuple[Measure, ...]  # of all its columns, each once
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    comparisons: tuple[PrintedComparison, ...]
    sections: tuple[NoteSection, ...]
    secondary: tuple[SecondaryTable, ...] = ()

    @property
    def caption(self) -> str:
        """Title, metrics and unit."""
        return f"{self.title}: {_join_headings(self.measures)}"

    @property
    def comparison_groups(self) -> Mapping[str, list[PrintedComparison]]:
        """Comparisons by their name."""
        groups: dict[str, list[PrintedComparison]] = {}
        for comparison in self.comparisons:
            groups.setdefault(comparison.comparison, []).append(comparison)
        return groups

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of all sections."""
        return tuple(note for section in self.sections for note in section.notes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the notes that are printed wherever the numbers are."""
        return tuple(note for section in self.sections if section.warns for note in section.notes)

    @property
    def difference_unit(self) -> str:
        """Unit of all differences; empty if they have several."""
        units = {measure.difference_unit for measure in self.measures}
        return units.pop() if len(units) == 1 else ""

    @property
    def verdict_counts(self) -> str:
        """Number of comparisons by verdict, as a sentence."""
        return count_verdicts(self.comparisons)

    def split(self, most: int) -> list[Table]:
        """Return the table in parts of the columns that share their first level, if it has more columns than `most`.

        A table of this many columns is wider than a page.
        """
        first_levels = list(dict.fromkeys(column.levels[0] for column in self.columns if column.levels))
        if len(self.columns) <= most or len(first_levels) < 2:
            return [self]
        parts = []
        for level in first_levels:
            places = [place for place, column in enumerate(self.columns) if column.levels[0] == level]
            rows = (replace(row, entries=tuple(row.entries[place] for place in places)) for row in self.rows)
            with_numbers = tuple(row for row in rows if any(entry.method for entry in row.entries))
            columns = tuple(self.columns[place] for place in places)
            parts.append(replace(self, columns=columns, rows=with_numbers))
        return parts


def build(study: Study, tables: Mapping[str, pd.DataFrame]) -> Table:
    """Lay out a study's rows of the result tables that `aggregate` wrote, in planned order with the floors last."""
    of_study = {
        name: frame[frame["study"] == study.name] if "study" in frame else frame for name, frame in tables.items()
    }
    entries, comparisons = of_study["entries"], of_study["comparisons"]
    metrics = list(dict.fromkeys(entries["metric"])) or [study.metric]
    several = len(metrics) > 1
    records = entries.to_dict("records")
    by_column = _group_by(records, (*study.columns, "metric"))
    columns = {key: _column(key, group, several=several) for key, group in by_column.items()}
    rows = [_row(key, group, study, columns) for key, group in _group_by(records, study.rows).items()]
    measures = tuple(number_format.measure(metric) for metric in metrics)
    return Table(
        study=study.name,
        title=study.title,
        question=study.question,
        measures=measures,
        stub=tuple(labels.name(factor) for factor in study.rows),
        columns=tuple(columns.values()),
        rows=tuple(sorted(rows, key=lambda row: row.floor)),
        comparisons=tuple(format_comparison(row, study, comparisons) for row in comparisons.to_dict("records")),
        sections=write_notes(study, of_study, measures),
        secondary=tuple(
            table
            for metric in sorted(metrics, key=lambda metric: metric != study.metric)
            for table in _secondary_tables(study, metric, of_study, several=several)
        ),
    )


def _secondary_tables(
    study: Study, metric: str, of_study: Mapping[str, pd.DataFrame], *, several: bool
) -> Iterable[SecondaryTable]:
    """Return the secondary tables in one metric, collapsible unless it is the study's own."""
    in_metric = {name: frame[frame["metric"] == metric] for name, frame in of_study.items() if "metric" in frame}
    measure = number_format.measure(metric)
    for table in secondary_tables.build(study, in_metric, measure):
        with_metric = replace(table, title=f"{table.title} ({measure.name})") if several else table
        yield with_metric if metric == study.metric else replace(with_metric, collapsible=True)


def _join_headings(measures: Sequence[Measure]) -> str:
    """Return the names of metrics with their unit, if they share one."""
    names = labels.join([measure.name for measure in measures])
    units = list(dict.fromkeys(measure.unit for measure in measures))
    return f"{names} ({units[0]})" if len(units) == 1 and units[0] else names


def tidy(study: Study, entries: pd.DataFrame) -> pd.DataFrame:
    """Return a study's table with one row per number, in the printed unit, unrounded."""
    of_study = entries[entries["study"] == study.name]
    measures = [number_format.measure(metric) for metric in of_study["metric"]]
    scale = np.array([measure.scale for measure in measures])
    method = [*METHOD_FACTORS, *"pretrain_seeds status reason caveat rank_mark replicate n_trials".split()]
    data = "n_pretraining_seeds test_clips clusters quarantined source data_digest corpus_source".split()
    data += "learning_rate n_learning_rates max_epochs n_at_max_epochs".split()
    data += "trained_on tested_on_training_data".split()
    table = of_study[["kind", *method, *data]].copy()
    table.insert(0, "study", study.name)
    table.insert(1, "metric", of_study["metric"])
    table.insert(2, "unit", [measure.unit for measure in measures])
    for column in ("mean", "std", "ci_low", "ci_high"):
        table[column] = of_study[column] * scale
    table["half_width"] = (table["ci_high"] - table["ci_low"]) / 2
    table["variance_sources"] = of_study["variance_sources"]
    for column in STANDARD_ERRORS.values():
        table[column] = of_study[column] * scale
    return table


def tidy_comparisons(study: Study, comparisons: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return a study's comparisons with differences in the printed unit, unrounded, and with their sentences."""
    of_study = comparisons[comparisons["study"] == study.name].copy()
    measures = [number_format.measure(metric) for metric in of_study["metric"]]
    std_errors = (*STANDARD_ERRORS.values(), "std_error")
    for column in ("mean", "ci_low", "ci_high", *std_errors, "fixed_test_set_ci_low", "fixed_test_set_ci_high"):
        of_study[column] *= [measure.scale for measure in measures]
    units = [measure.difference_unit for measure in measures]
    of_study.insert(list(of_study.columns).index("metric") + 1, "unit", units)
    of_study["sentence"] = [comparison.sentence for comparison in table.comparisons]
    return of_study


def _group_by(records: Iterable[dict], factors: Sequence[str]) -> dict[tuple[str, ...], list[dict]]:
    """Group records by their levels, in the order of each group's first record."""
    groups: dict[tuple[str, ...], list[dict]] = {}
    for record in records:
        groups.setdefault(tuple(str(record[factor]) for factor in factors), []).append(record)
    return groups


def _column(key: tuple[str, ...], group: Sequence[dict], *, several: bool) -> Column:
    """Return the column of the levels and the metric in `key`; its label has the metric if there are several."""
    measured = _select_measured(group)
    *levels, metric = key
    names = [labels.name(level) for level in levels]
    return Column(
        levels=tuple(levels),
        label=", ".join([*names, number_format.measure(metric).name] if several else names),
        metric=metric,
        source=", ".join(unique_sources(record["source"] for record in measured)) or NOTHING,
        test_clips=_range(measured, "test_clips") + _clusters(measured),
        quarantined=_range(measured, "quarantined"),
    )


def _row(
    key: tuple[str, ...],
    group: Sequence[dict],
    study: Study,
    columns: Mapping[tuple[str, ...], Column],
) -> Row:
    by_column = {tuple(str(record[name]) for name in (*study.columns, "metric")): record for record in group}
    measured = _select_measured(group)
    pretrained = any(record["n_pretraining_seeds"] for record in measured)
    return Row(
        labels=tuple(labels.name(level) for level in key),
        floor=all(record["kind"] == "floor" for record in group),
        entries=tuple(
            _entry(by_column.get(key), column.measure, deviations=study.deviations) for key, column in columns.items()
        ),
        trials=_range(measured, "n_trials"),
        pretraining_seeds=_range(measured, "n_pretraining_seeds") if pretrained else NOTHING,
    )


def _select_measured(records: Iterable[dict]) -> list[dict]:
    return [record for record in records if record["status"] != MISSING]


def _entry(record: dict | None, measure: Measure, *, deviations: bool) -> PrintedEntry:
    if record is None:
        return _without_number("not planned")
    if record["status"] == MISSING:
        return _without_number(record["reason"], _method(record))
    return PrintedEntry(
        mean=record["mean"] * measure.scale,
        low=record["ci_low"] * measure.scale,
        high=record["ci_high"] * measure.scale,
        rank=record["rank_mark"],
        reason=record["reason"],
        deviation=record["std"] * measure.scale if deviations else math.nan,
        on_training_data=record["tested_on_training_data"] == "yes",
        method=_method(record),
        std_errors=tuple(
            (source, record[column] * measure.scale)
            for source, column in STANDARD_ERRORS.items()
            if math.isfinite(record[column])
        ),
    )


def _without_number(reason: str, method: tuple[str, ...] = ()) -> PrintedEntry:
    return PrintedEntry(mean=None, low=math.nan, high=math.nan, rank="", reason=reason, method=method)


def _method(record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(record[factor]) for factor in METHOD_FACTORS)


def _clusters(records: Sequence[dict]) -> str:
    """Return the number of clusters (of one artist or song) of the test clips, if known."""
    known = _range(records, "clusters")
    return f" in {known} clusters" if known != NOTHING else ""


def _range(records: Iterable[dict], column: str) -> str:
    present = [int(record[column]) for record in records if not pd.isna(record[column])]
    if not present:
        return NOTHING
    low, high = min(present), max(present)
    return f"{low:,}" if low == high else f"{low:,}{number_format.RANGE}{high:,}"
