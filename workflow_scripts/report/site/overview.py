"""First page: what was run, and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.site import studies
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage

PATH = "index.html"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One study with the sentence that counts its verdicts, and its page."""

    study: Study
    path: str
    verdicts: str


@dataclass(frozen=True, kw_only=True)
class OverviewContent:
    """What the first page shows."""

    answers: tuple[Answer, ...]


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page."""
    content = OverviewContent(answers=tuple(_answer(study, inputs) for study in inputs.manifest.studies))
    yield SitePage(path=PATH, title="Overview", template="site/overview.html.j2", content=content, group="Results")


def _answer(study: Study, inputs: ReportInputs) -> Answer:
    table = inputs.tables[study.name]
    if isinstance(table, Failure):
        verdicts = f"The table could not be produced: {table.reason}"
    else:
        verdicts = table.verdict_counts if table.comparisons else ""
    return Answer(study=study, path=studies.path(study), verdicts=verdicts)
