"""Page about the data: sets, quarantine and the leakage audit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workflow_scripts.report import audits, data_rows, labels
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage


@dataclass(frozen=True, kw_only=True)
class DataContent:
    """Corpora, data sets and overlaps between them."""

    rows: tuple[data_rows.DataRow, ...]
    licenses: tuple[tuple[str, str], ...]
    quarantine: tuple[tuple[str, ...], ...]
    audit: audits.AuditTables
    headings: tuple[str, ...] = data_rows.HEADINGS
    texts: int = data_rows.TEXTS


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page."""
    manifest = inputs.manifest
    rows = data_rows.data_rows(inputs.cells, corpora=manifest.corpora, find=manifest.find_record)
    content = DataContent(
        rows=tuple(rows),
        licenses=tuple((labels.name(name), facts.license) for name, facts in manifest.datasets.items()),
        quarantine=tuple((row.dataset, reason, number) for row in rows for reason, number in row.reasons),
        audit=audits.read_audits(manifest.audits, find=manifest.find_record),
    )
    yield SitePage(path="data.html", title="Data", template="site/data.html.j2", content=content, group="Run")
