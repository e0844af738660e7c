"""Reasons why a cell has no trials: the job that failed, and the last line of its log."""

from __future__ import annotations

from workflow_scripts.planning.job_logs import read_end
from workflow_scripts.planning.manifest import PlannedCell, PlannedJob

NOT_RUN, FAILED, UNFINISHED, STALE = "not run", "failed", "unfinished", "stale"
LAST_LINE = "its log ends with: "


def missing_reason(cell: PlannedCell) -> str:
    """Return one line such as "failed: pretrain: CUDA out of memory"; its short form ends before the first colon.

    The first job in order with a log and without its output decides. A log that ends without an error belongs to a job
    that was killed, or whose output was deleted. Trials that exist although they were not gathered are stale.
    """
    for job in cell.jobs:
        if not job.output.exists() and (reason := read_reason(job)):
            return reason
    return f"{STALE}: computed with other code or another config, not yet re-run" if cell.path.is_file() else NOT_RUN


def in_short(reason: str) -> str:
    """Return the short form of a reason, which fits into a table or a figure."""
    return reason.partition(":")[0]


def read_reason(job: PlannedJob) -> str:
    """Return state, stage and last line of a job that has left a log but no output; empty without a log."""
    end = read_end(job.log, about=job.cell_folder)
    if end is None:
        return ""
    return (
        f"{FAILED}: {job.stage}: {end.line}" if end.is_reason else f"{UNFINISHED}: {job.stage}: {LAST_LINE}{end.line}"
    )
