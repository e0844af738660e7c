"""Reasons why a cell has no trials: the job that failed, and the last line of its log."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.planning.manifest import PlannedCell, PlannedJob

NOT_RUN, FAILED, UNFINISHED, STALE = "not run", "failed", "unfinished", "stale"
GAVE_UP = "prelude: "  # begins the line of a `UserError`; libraries may still write after it
CRASHED = ("Traceback (most recent call last)", "usage: ")  # begin the end of a log; its last line has the reason
MAX_CHARACTERS = 240  # of a line: more is a dump, not a reason
MAX_BYTES = 64 * 1024  # that are read from the end of a log


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
    lines = [" ".join(line.split()) for line in _read_end(job.log).splitlines() if line.strip()]
    if not lines:
        return ""
    gave_up = [line.removeprefix(GAVE_UP) for line in lines if line.startswith(GAVE_UP)]
    if gave_up or any(line.startswith(CRASHED) for line in lines):
        return f"{FAILED}: {job.stage}: {(gave_up or lines)[-1][:MAX_CHARACTERS]}"
    return f"{UNFINISHED}: {job.stage}: its log ends with: {lines[-1][:MAX_CHARACTERS]}"


def _read_end(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - MAX_BYTES))
        return file.read().decode("utf-8", errors="replace")
