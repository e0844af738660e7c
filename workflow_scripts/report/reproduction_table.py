"""Table of published numbers and claims beside ours, as data: what csv, md, tex, html and the report show.

Results come first, then claims in words, then facts of the data and settings. Settings that agree do so by
construction: they are counted in one sentence per system, and listed in the csv alone.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from workflow_scripts.report import reproduction_wording as wording
from workflow_scripts.report.number_format import CONFIDENCE, EQUIVALENCE
from workflow_scripts.report.reproduction_wording import Record
from workflow_scripts.statistics.reproduction.context import TWIN
from workflow_scripts.statistics.reproduction.verdicts import (
    AGREES,
    DIFFERS,
    DOES_NOT_HOLD,
    HOLDS,
    NOT_OURS,
    NOT_RUN,
)

TITLE = "Published claims and numbers"
SYSTEMS = {
    "A": "System A: Wu et al. 2021, multi-task self-supervised pre-training",
    "B": "System B: Spijkervet 2021, contrastive learning",
    "C": "System C: Garoufis et al. 2024, source separation",
}
HEADINGS = ("Claim", "Published", "Ours", "Verdict", "Evidence", "Choices")
RESULTS, CLAIMS, FACTS, NOT_COMPARED = "Results", "Claims", "Data and settings", "Not compared in this config"
PLURALS = {AGREES: "agree", DIFFERS: "differ", HOLDS: "hold", DOES_NOT_HOLD: "do not hold"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One published number or claim, in one of the settings in which it was computed."""

    section: str
    place: str  # table, figure or section of the paper
    claim: str
    published_value: str
    own_value: str
    meaning: str
    outcome: str  # the verdict alone
    verdict: str  # the verdict in words, with margin and reason
    source: str
    evidence: str
    choices: str
    remarks: str
    by_construction: bool

    @property
    def run(self) -> bool:
        """Whether our results have a value for it."""
        return self.outcome not in (NOT_RUN, NOT_OURS)

    @property
    def is_counted_only(self) -> bool:
        """Whether the line is part of a count only (settings that agree with the paper)."""
        return self.by_construction and self.outcome == AGREES

    @property
    def cells(self) -> tuple[tuple[str, str], ...]:
        """Text of each cell and the smaller text below it, in the order of `HEADINGS`."""
        return (
            (self.claim, self.remarks),
            (self.published_value, ""),
            (self.own_value, self.meaning),
            (self.verdict, ""),
            (self.evidence, self.source),
            (self.choices, ""),
        )


@dataclass(frozen=True, kw_only=True)
class ReproductionSection:
    """Lines of one kind, grouped by table, figure or section of the paper."""

    title: str
    groups: tuple[tuple[str, tuple[Line, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class System:
    """All lines of one publication, in its order."""

    name: str
    lines: tuple[Line, ...]

    @cached_property
    def sections(self) -> tuple[ReproductionSection, ...]:
        """Every line but the summarised ones."""
        return _sections([line for line in self.lines if not line.is_counted_only])

    @cached_property
    def run(self) -> tuple[ReproductionSection, ...]:
        """Lines for which our results have a value."""
        return _sections([line for line in self.lines if line.run and not line.is_counted_only])

    @cached_property
    def not_run(self) -> tuple[ReproductionSection, ...]:
        """Lines for which our results have no value."""
        return _sections([line for line in self.lines if not line.run])

    @property
    def short_name(self) -> str:
        """Name without the publication, such as "System A"."""
        return self.name.partition(":")[0]

    @property
    def agreeing_settings(self) -> str:
        """Sentence on the settings that agree; empty if there are none."""
        count = sum(line.is_counted_only for line in self.lines)
        if not count:
            return ""
        settings = "1 setting agrees" if count == 1 else f"{count} settings agree"
        return f"{self.short_name}: {settings} by construction (listed in reproduction.csv)."

    @property
    def summary(self) -> str:
        """Number of lines with each verdict, those that were run first."""
        run = Counter(line.outcome for line in self.lines if line.run and not line.is_counted_only)
        settings = sum(line.is_counted_only for line in self.lines)
        others = Counter(line.outcome for line in self.lines if not line.run)
        parts = [f"{count} {PLURALS.get(outcome, outcome) if count > 1 else outcome}" for outcome, count in run.items()]
        parts += [f"{settings} {PLURALS[AGREES] if settings > 1 else AGREES} by construction"] if settings else []
        parts.append(f"{others.pop(NOT_RUN, 0)} {NOT_RUN}")
        return "; ".join([*parts, *(f"{count} {outcome}" for outcome, count in others.items())])


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The whole table and what its reader must know."""

    systems: tuple[System, ...]
    notes: tuple[str, ...]
    has_comparisons: bool  # whether any study of the config is compared with a publication


def build(table: pd.DataFrame) -> Reproduction:
    """Build the table from the rows of `reproduction.csv`."""
    systems = [
        System(name=SYSTEMS[system], lines=tuple(_line(record) for record in records))
        for system, records in itertools.groupby(table.to_dict("records"), key=lambda record: record["system"])
    ]
    return Reproduction(
        systems=tuple(systems),
        notes=tuple(_notes(table)),
        has_comparisons=bool((table["study"].fillna("") != "").any()),
    )


def tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `reproduction.csv` with the words of each line beside its numbers."""
    lines = [_line(record) for record in table.to_dict("records")]
    return table.assign(
        claim=[line.claim for line in lines],
        meaning=[line.meaning for line in lines],
        verdict_text=[line.verdict for line in lines],
        evidence=[line.evidence for line in lines],
    )


def _sections(lines: Sequence[Line]) -> tuple[ReproductionSection, ...]:
    """Return the sections that have lines, each grouped by place."""
    sections = []
    for title in (RESULTS, CLAIMS, FACTS, NOT_COMPARED):
        own = [line for line in lines if line.section == title]
        groups = [(place, tuple(group)) for place, group in itertools.groupby(own, key=lambda line: line.place)]
        sections += [ReproductionSection(title=title, groups=tuple(groups))] if groups else []
    return tuple(sections)


def _line(record: Record) -> Line:
    run = record["verdict"] not in (NOT_RUN, NOT_OURS)
    return Line(
        section=_section_of(record),
        place=wording.place_in_paper(record["table_or_figure"]),
        claim=wording.claim(record),
        published_value=wording.format_published(record),
        own_value=wording.format_value(record) if run else "",
        meaning=wording.describe_quantity(record) if record["quantity"] else "",
        outcome=record["verdict"],
        verdict=wording.verdict(record),
        source=record["source"].replace(" ", ", "),
        evidence=wording.evidence(record) if run else "",
        choices=record["choices"].replace(" ", ", "),
        remarks=record["notes"] if record["mean"] else "",
        by_construction=record["kind"] == "chosen",
    )


def _section_of(record: Record) -> str:
    if not record["study"]:
        return NOT_COMPARED
    if record["kind"] != "measured":
        return FACTS
    return RESULTS if record["mean"] else CLAIMS


def _notes(table: pd.DataFrame) -> Iterable[str]:
    yield (
        f"Our value is in the unit of the published number, with its {CONFIDENCE} confidence interval. A number "
        f"agrees if the {EQUIVALENCE} interval of our difference from it lies within the margin declared beforehand, "
        "differs if that interval lies wholly outside, and is undecided otherwise (two one-sided tests). The "
        "published mean is taken as exact."
    )
    yield (
        f"A claim in words holds if the {CONFIDENCE} interval lies on the claimed side, does not hold if it lies on "
        "the other, and is undecided otherwise. A bound, a number printed as the most or the least, is judged the same "
        "way, with its margin. Verdicts are not adjusted for their number."
    )
    if (table["expected"] == "not significantly above zero").any():
        yield (
            "A number printed without a star claims no significant gain: this holds unless the interval lies above "
            "zero, however wide it is."
        )
    if (table["kind"] == "measured").any():
        yield (
            "The intervals of means and of single differences cover other test sets too where the predictions of all "
            "their cells are stored; all other intervals are for the fixed test set. Column variance_sources of "
            "reproduction.csv states it line by line: without the test set in it, a line is for the fixed test set."
        )
    yield (
        "By construction: the setting was chosen; the value is the one that was run. "
        "Not run: no study of this config is compared with the row, or its cells were not run. "
        "In part: the config has only some of the cells that the claim is about; the line names those that are missing."
    )
    if (table["quantity"] == "crossing").any():
        yield (
            "A crossover is known only between the smallest and the largest training size measured; below and beyond "
            "mean that it, or an end of its interval, lies outside them."
        )
    if table["source"].str.split().map(lambda sources: TWIN in sources).any():
        yield (
            "Twin: small synthetic data sets. Their numbers must not be compared with published numbers and get no "
            "verdict; the verdict on a claim in words is about the twins."
        )
    if ((table["replicate"] == "trials") & (table["n_pretraining_seeds"].fillna(0) > 0)).any():
        yield (
            "One pre-training seed: the interval covers the trials of that seed alone. "
            "Another pre-training seed may give another result."
        )
    yield (
        "Choices such as A1 are explained in docs/reproduction-notes.md: what a publication leaves open, and what was "
        "chosen here."
    )
