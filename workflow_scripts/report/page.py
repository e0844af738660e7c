"""Report: one self-contained HTML page with its own explanations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import FindRecord, find_record, require_unchanged
from workflow_scripts.core.csv_files import read_rows
from workflow_scripts.core.escapes import attribute
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import audits, costs, labels, number_format, plotting, separation, status
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.labels import TWIN
from workflow_scripts.report.renderers import environment
from workflow_scripts.report.study_table import Table
from workflow_scripts.statistics.tables.schema import MISSING

PROLOG = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)  # XML declaration and document type, not allowed within HTML
IDENTIFIER = re.compile(r'(\bid="|href="#|url\(#)')
MAX_ROWS = 2000  # of a figure's numbers that are printed: a page of megabytes opens slowly; the csv file has all
METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class PrintedFigure:
    """A study's figure: inline SVG, how to read it, a description in words, and its numbers as text.

    `shared` lists the columns with the same value in every row, which the table of numbers leaves out; `omitted` says
    what else is in the csv file alone. The first `texts` columns have no numbers.
    """

    svg: Markup
    reading: str
    description: Markup
    texts: int
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shared: str
    omitted: str


@dataclass(frozen=True, kw_only=True)
class StudySection:
    """One study on the page, with the failure in place of a table or figure; `figure` is None if the study has none."""

    study: Study
    table: Table | Failure
    figure: PrintedFigure | Failure | None
    separation: separation.SeparationTable

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence for the table and the figure that failed."""
        parts = {"table": self.table, "figure": self.figure}
        return tuple(
            f"The {name} could not be produced: {part.reason}"
            for name, part in parts.items()
            if isinstance(part, Failure)
        )


@dataclass(frozen=True, kw_only=True)
class DataRow:
    """One corpus or data set as printed, with its clips that are quarantined, scaled, or used with a defect."""

    dataset: str
    source: str
    clips: str
    quarantined: str
    scaled: str
    defective: str
    reasons: str
    digest: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Columns of text, then of numbers."""
        texts = (self.dataset, self.source, self.digest, self.reasons)
        return (*texts, self.clips, self.quarantined, self.scaled, self.defective)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Content of the page's template."""

    scale: str
    sources: tuple[str, ...]
    n_missing: int
    n_planned: int
    unfinished: bool  # the workflow failed: the page shows what it had finished
    sections: tuple[StudySection, ...]
    reproduction: Markup
    data: tuple[DataRow, ...]
    stages: tuple[tuple[str, ...], ...]
    runs: tuple[tuple[str, ...], ...]
    versions: tuple[tuple[str, ...], ...]
    digests: tuple[tuple[str, ...], ...]
    run: tuple[tuple[str, str], ...]
    audit: audits.AuditTables
    jobs: status.Statuses

    @property
    def twins(self) -> bool:
        """Whether any number comes from synthetic data."""
        return TWIN in self.sources


def render(page: Page) -> str:
    """Render the page as HTML."""
    return environment().get_template("page.html.j2").render(page=page) + "\n"


def format_figure(
    study: Study, numbers: pd.DataFrame, *, svg: Path, reading: str, description: Markup
) -> PrintedFigure:
    """Return a study's figure from the file that `draw` wrote, with its numbers."""
    fixed = [name for name in numbers.columns if name not in ("study", "panel") and numbers[name].nunique(False) == 1]
    shared = [(name, _text(numbers[name].iloc[0])) for name in fixed if len(numbers)]
    lists = [name for name in numbers.columns if name in plotting.NUMBER_LISTS]
    varying = numbers.drop(columns=["study", *{*fixed, *lists}])
    omitted = [_heading(name).lower() for name in lists]
    if len(varying) > MAX_ROWS:
        omitted, varying = [*omitted, f"rows after the first {MAX_ROWS:,} of {len(varying):,}"], varying.head(MAX_ROWS)
    texts = [name for name in varying.columns if not pd.api.types.is_numeric_dtype(varying[name])]
    varying = varying[[*texts, *(name for name in varying.columns if name not in texts)]]
    return PrintedFigure(
        svg=inline_svg(svg, study, description=description),
        reading=reading,
        description=description,
        texts=len(texts),
        headings=tuple(_heading(str(name)) for name in varying.columns),
        rows=tuple(tuple(_text(value) for value in row) for row in varying.itertuples(index=False)),
        shared="; ".join(f"{_heading(name).lower()}: {text}" for name, text in shared if text),
        omitted=", ".join(omitted),
    )


def _heading(column: str) -> str:
    return labels.capital(labels.name(column))


def _text(value: object) -> str:
    """Format a value; numbers have six digits, and all of them in the csv file."""
    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", number_format.MINUS)
    return str(value)


def inline_svg(path: Path, study: Study, *, description: Markup) -> Markup:
    """Return the SVG element of a file that `draw` wrote, with a description and with ids unique on the page."""
    text = METADATA.sub("", PROLOG.sub("", path.read_text(encoding="utf-8"), count=1))
    text = IDENTIFIER.sub(rf"\g<1>{study.name}-", text)
    label = attribute(f"Figure: {study.title}. ") + description
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))


def data_rows(cells: pd.DataFrame, *, corpora: Sequence[Path], find: FindRecord = find_record) -> list[DataRow]:
    """Return one row per prepared corpus (`corpus.json`), then one per evaluated data set not among them.

    `find` reads facts; it raises `UserError` for those that are not as `prepare` wrote them, or leaves them out.
    """
    files = {folder: folder / result_files.CORPUS_FACTS for folder in sorted(corpora)}
    facts = {folder: find(path) for folder, path in files.items()}
    rows = [_corpus(folder, of_corpus) for folder, of_corpus in facts.items() if of_corpus]
    known = {row.digest for row in rows}
    measured = cells[cells["data_digest"] != ""].drop_duplicates(["dataset", "data_digest"])
    rows += [
        DataRow(
            dataset=labels.name(record["dataset"]),
            source=record["source"],
            clips=f"{record['test_clips']:,} (test)",
            quarantined=f"{record['quarantined']:,}",
            scaled="",
            defective="",
            reasons="",
            digest=record["data_digest"],
        )
        for record in measured.to_dict("records")
        if record["data_digest"] not in known
    ]
    return rows


def _corpus(folder: Path, facts: Mapping[str, Any]) -> DataRow:
    require_unchanged(folder / result_files.QUARANTINE)
    reasons = Counter(row["reason"] for row in read_rows(folder / result_files.QUARANTINE, ["reason"]))
    return DataRow(
        dataset=f"{labels.name(facts['dataset'])}, {facts['sample_rate']:,} Hz",
        source=facts["source"],
        clips=f"{facts['clips']:,} ({number_format.duration(facts['seconds'])})",
        quarantined=f"{facts['quarantined']:,}",
        scaled=f"{facts['scaled']:,}",
        defective=f"{facts['defective']:,}",
        reasons="; ".join(
            [*(f"{reason}: {number:,}" for reason, number in reasons.most_common()), *facts.get("notes", ())]
        ),
        digest=facts["content"],  # which results carry, whatever sample rate they were measured at
    )


def sources(cells: pd.DataFrame) -> tuple[str, ...]:
    """Return the sources of the data behind the measured numbers, sorted."""
    return tuple(sorted(set(cells["source"]) - {""}))


def count_missing(cells: pd.DataFrame) -> int:
    """Number of planned cells without any trial."""
    return int(((cells["status"] == MISSING) & (cells["metric"] == "")).sum())


def cost_tables(records: Sequence[costs.JobRecord]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the tables of costs and versions for `Page`."""
    return {
        "stages": tuple(costs.by_stage(records)),
        "runs": tuple(costs.by_run(records)),
        "versions": tuple(costs.versions(records)),
    }
