"""Page on how to read the others: what holds for all tables stands there once."""

from __future__ import annotations

from collections.abc import Iterator

from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage


def pages(inputs: ReportInputs) -> Iterator[SitePage]:  # noqa: ARG001  (it is the same for all results)
    """Yield the page."""
    yield SitePage(
        path="reading.html",
        title="How to read these pages",
        template="site/reading.html.j2",
        content=None,
        group="Results",
    )
