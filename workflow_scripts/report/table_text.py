"""Texts of a study's table that every format of it shows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from workflow_scripts.report import labels, number_format
from workflow_scripts.report.comparison_text import PrintedComparison
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.report.study_table import Column, PrintedEntry, Row, Table
from workflow_scripts.statistics.failure_reasons import in_short

BEST, TIED = "★", "†"
MARKS = {"best": BEST, "tied": TIED, "": ""}
RANK_WORDS = {"best": "highest mean of the column", "tied": "not significantly different from the highest"}
COUNT_HEADINGS = ("Trials", "Pre-training seeds")
COMPARISON_HEADINGS = (
    "Comparison",
    "Data set",
    "Verdict",
    "Difference",
    f"{CONFIDENCE} interval",
    "d_z",
    "p (t)",
    "p (sign flip)",
    "p (Holm)",
    "p (Holm), other clips",
    "Evidence",
)
FIRST_NUMBER = 3  # the first three columns of the comparisons, and the last, are text


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Heading over one or several columns of numbers."""

    text: str
    span: int


@dataclass(frozen=True, kw_only=True)
class Footer:
    """Line under the table with one fact about each column."""

    label: str
    values: tuple[str, ...]


def entry_text(entry: PrintedEntry, measure: number_format.Measure) -> str:
    """Return the mean with its interval, or the short reason if there is no mean; without marks of rank."""
    if entry.mean is None:
        return in_short(entry.reason)
    text = number_format.mean_with_interval(entry.mean, entry.low, entry.high, measure.decimals)
    if not math.isnan(entry.deviation):  # smaller than what it is beside
        text = f"{text}, {number_format.deviation(entry.deviation, measure.decimals + 1)}"
    return f"{text} {ON_TRAINING_DATA}" if entry.on_training_data else text


def std_errors_text(entry: PrintedEntry, measure: number_format.Measure) -> str:
    """Return the standard errors by source of variance; empty if there is only one."""
    if len(entry.std_errors) < 2:
        return ""
    texts = [
        f"{labels.variance_source(name)} {number_format.half_width(error, measure.decimals)}"
        for name, error in entry.std_errors
    ]
    return ", ".join(texts)


def column_headings(table: Table) -> list[str]:
    """Return column labels with the data source."""
    return [column.heading for column in table.columns]


def heading_rows(table: Table) -> list[list[Heading]]:
    """Return the headings of the columns, a row for each factor and for the metric; equal neighbours share one.

    A table whose columns differ in one thing has one row.
    """
    names = [_heading_names(column, several=len(table.measures) > 1) for column in table.columns]
    rows = []
    for depth in range(len(names[0]) if names else 0):
        grouped = itertools.groupby(names, key=lambda texts, depth=depth: texts[: depth + 1])  # type: ignore[misc]
        rows.append([Heading(text=texts[-1], span=len(list(group))) for texts, group in grouped])
    return rows


def _heading_names(column: Column, *, several: bool) -> list[str]:
    """Return the label of each level, and of the metric if the table has several; the first says if data are twins."""
    names = [labels.name(level) for level in column.levels] + [column.measure.name] * (several or not column.levels)
    return [names[0] + labels.mark_of_twins(column.source), *names[1:]]


def footers(table: Table) -> list[Footer]:
    """Return the size and source of the test set of each column."""
    return [
        Footer(label="Test clips", values=tuple(column.test_clips for column in table.columns)),
        Footer(label="Quarantined clips", values=tuple(column.quarantined for column in table.columns)),
        Footer(label="Data source", values=tuple(column.source for column in table.columns)),
    ]


def comparison_cells(comparison: PrintedComparison) -> tuple[str, ...]:
    """Return the cells of a comparison in the order of `COMPARISON_HEADINGS`."""
    return (
        comparison.comparison,
        comparison.setting,
        comparison.verdict,
        comparison.difference,
        comparison.interval,
        comparison.effect,
        comparison.p,
        comparison.p_sign_flip,
        comparison.p_holm,
        comparison.p_holm_other_clips,
        comparison.evidence,
    )


def comparison_headings(table: Table) -> list[str]:
    """Return `COMPARISON_HEADINGS` with the unit of the difference."""
    unit = table.difference_unit
    return [f"{heading} ({unit})" if heading == "Difference" and unit else heading for heading in COMPARISON_HEADINGS]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Escaped cells of a table, line by line: its header, the methods, the floors, and the facts below them."""

    header: list[str]
    methods: list[list[str]]
    floors: list[list[str]]
    footers: list[list[str]]


def build_grid(table: Table, mark: Callable[[str, str], str], *, escape: Callable[[str], str]) -> Grid:
    """Return the cells of a table as escaped text; `mark` marks a number's text by its rank."""
    header = [labels.capital(name) for name in table.stub] + column_headings(table) + list(COUNT_HEADINGS)

    def line(row: Row) -> list[str]:
        entries = [
            mark(escape(entry_text(entry, column.measure)), entry.rank)
            for entry, column in zip(row.entries, table.columns, strict=True)
        ]
        return [*map(escape, row.labels), *entries, escape(row.trials), escape(row.pretraining_seeds)]

    blank = [""] * (len(table.stub) - 1)
    under = [[*map(escape, (footer.label, *blank, *footer.values)), "", ""] for footer in footers(table)]
    return Grid(
        header=[*map(escape, header)],
        methods=[line(row) for row in table.rows if not row.floor],
        floors=[line(row) for row in table.rows if row.floor],
        footers=under,
    )
