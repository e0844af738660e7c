"""Page about where the numbers come from: config, versions and digests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.report import costs
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage


@dataclass(frozen=True, kw_only=True)
class ProvenanceContent:
    """Rows of fact and value."""

    run: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    digests: tuple[tuple[str, str], ...]


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page."""
    content = ProvenanceContent(
        run=tuple(_run(inputs)),
        versions=tuple(costs.versions(inputs.records)),
        digests=tuple(_digests(inputs.manifest)),
    )
    yield SitePage(
        path="provenance.html", title="Provenance", template="site/provenance.html.j2", content=content, group="Run"
    )


def _run(inputs: ReportInputs) -> Iterator[tuple[str, str]]:
    """Yield what was run: config files, the days of the jobs, and the command that explains one number."""
    yield "Config files", ", ".join(("config/config.yaml", *inputs.manifest.configfiles))
    if days := costs.dates(inputs.records):
        yield "Jobs started", f"{days} (UTC)"
    yield "Where a number comes from", "python -m workflow_scripts.explain STUDY ROW COLUMN --results FOLDER"


def _digests(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the code digests by scenario; reports of the same code have equal digests."""
    by_scenario: dict[str, set[str]] = {}
    for cell in manifest.cells:
        by_scenario.setdefault(cell.factors["scenario"], set()).add(cell.code)
    for scenario, codes in sorted(by_scenario.items()):
        yield f"Code of the evaluations, {scenario.replace('_', '-')}", ", ".join(sorted(codes))
