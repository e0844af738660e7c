"""Page about the jobs: their state, attempts, time, memory and cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workflow_scripts.report import costs, status
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage


@dataclass(frozen=True, kw_only=True)
class JobsContent:
    """State of the jobs, and their cost by stage and pre-trained run."""

    statuses: status.Statuses
    stages: tuple[tuple[str, ...], ...]
    runs: tuple[tuple[str, ...], ...]
    energy: tuple[tuple[str, ...], ...]


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page."""
    content = JobsContent(
        statuses=status.tabulate([*inputs.statuses.values()]),
        stages=tuple(costs.by_stage(inputs.records)),
        runs=tuple(costs.by_run(inputs.records)),
        energy=tuple(costs.energy_by_stage(inputs.records)),
    )
    yield SitePage(path="jobs.html", title="Jobs", template="site/jobs.html.j2", content=content, group="Run")
