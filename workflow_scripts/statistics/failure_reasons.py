"""Why a cell has no trials, from the jobs it needs: which of them failed, and the last line it wrote."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.planning.manifest import Evaluation, PlannedJob

NOT_RUN, FAILED, UNFINISHED, STALE = "not run", "failed", "unfinished", "stale"
GAVE_UP = "prelude: "  # how our scripts begin the line with which they give up; libraries may still write after it
CRASHED = ("Traceback (most recent call last)", "usage: ")  # what begins the end of a log; the last line says why
LONGEST = 240  # characters of a line: more is a dump, not a reason
READ_AT_MOST = 64 * 1024  # bytes from the end of a log


def why_missing(evaluation: Evaluation) -> str:
    """One line such as "failed: pretrain: CUDA out of memory"; what precedes its first colon says it in short.

    The first job in order whose output is missing and whose log has something to say decides. A log that ends without
    an error belongs to a job that was killed, or whose output was deleted. Trials that are there although they were not
    gathered are stale.
    """
    for job in evaluation.jobs:
        if not job.output.exists() and (text := said(job)):
            return text
    return f"{STALE}: made by other code or config, and not yet made again" if evaluation.path.is_file() else NOT_RUN


def in_short(reason: str) -> str:
    """Return what fits into a table's cell or a figure."""
    return reason.partition(":")[0]


def said(job: PlannedJob) -> str:
    """Return state, verb and last line of a job that has left a log but no output; nothing without a log."""
    lines = [" ".join(line.split()) for line in _end_of(job.log).splitlines() if line.strip()]
    if not lines:
        return ""
    gave_up = [line.removeprefix(GAVE_UP) for line in lines if line.startswith(GAVE_UP)]
    if gave_up or any(line.startswith(CRASHED) for line in lines):
        return f"{FAILED}: {job.stage}: {(gave_up or lines)[-1][:LONGEST]}"
    return f"{UNFINISHED}: {job.stage}: its log ends with: {lines[-1][:LONGEST]}"


def _end_of(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - READ_AT_MOST))
        return file.read().decode("utf-8", errors="replace")
