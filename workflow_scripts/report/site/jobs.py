"""Page about the jobs: their state, attempts, time, memory and cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
        statuses=_without_empty_columns(status.tabulate([*inputs.statuses.values()])),
        stages=tuple(costs.by_stage(inputs.records)),
        runs=tuple(costs.by_run(inputs.records)),
        energy=tuple(costs.energy_by_stage(inputs.records)),
    )
    yield SitePage(path="jobs.html", title="Jobs", template="site/jobs.html.j2", content=content, group="Run")


def _without_empty_columns(statuses: status.Statuses) -> status.Statuses:
    """Leave out the columns of the stages that hold nothing, such as GPU hours and waits of a run on one CPU."""
    kept = [place for place in range(len(statuses.headings)) if any(row[place] for row in statuses.stages)]
    return replace(
        statuses,
        headings=tuple(statuses.headings[place] for place in kept),
        stages=tuple(tuple(row[place] for place in kept) for row in statuses.stages),
    )
