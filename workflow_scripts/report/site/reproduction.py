"""Page of the published claims and numbers against ours."""

from __future__ import annotations

from collections.abc import Iterator

from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.report import reproduction_render, reproduction_table
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage
from workflow_scripts.statistics.reproduction.table import read_reproduction


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page, unless all studies are the user's own, which no publication has."""
    if not any(study.statements for study in inputs.manifest.studies):
        return
    published = read_reproduction(inputs.statistics.folder / STATISTICS_FILES["reproduction"])
    section = reproduction_render.section(reproduction_table.build(published))
    if section:
        yield SitePage(
            path="reproduction.html",
            title=reproduction_table.TITLE,
            template="site/reproduction.html.j2",
            content=section,
            group="Results",
        )
