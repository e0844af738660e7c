"""Page that lists the columns of all csv files of the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workflow_scripts.report import result_columns
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage


@dataclass(frozen=True, kw_only=True)
class ColumnsContent:
    """Rows of column, files and meaning."""

    rows: tuple[tuple[str, str, str], ...]


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page."""
    kinds = dict.fromkeys(study.figure.kind for study in inputs.manifest.studies if study.figure)
    content = ColumnsContent(rows=tuple(result_columns.rows_of(result_columns.columns_of_figures(kinds))))
    yield SitePage(
        path="columns.html",
        title="Columns of the csv files",
        template="site/columns.html.j2",
        content=content,
        group="Run",
    )
