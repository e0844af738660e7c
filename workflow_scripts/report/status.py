"""State of each job: done, or missing with the reason; attempts, waiting time and run time.

The manifest lists the jobs. Their records prove results, their logs have the reasons of failures, and Snakemake's own
logs have the attempts, summed over all its invocations, killed ones included.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from workflow_scripts.planning.manifest import Manifest, PlannedJob
from workflow_scripts.report import number_format
from workflow_scripts.statistics.failure_reasons import read_reason

SNAKEMAKE_LOGS = Path(".snakemake") / "log"  # in the folder where the workflow was started
ACQUIRE, EMBED = "acquire", "embed"
STAGES = (ACQUIRE, "prepare", "extract", "weigh", "pretrain", "import_checkpoint", EMBED, "evaluate")
DONE, FAILED, UNFINISHED, NOT_RUN, WAITS = "done", "failed", "unfinished", "not run", "waiting"
GPU = "cuda"  # beginning of the device name of a GPU
MAX_TROUBLES = 50  # jobs on the page that failed or were retried; the command lists all
HEADINGS = ("Stage", "Jobs", "Done", "Retried", "Failed", "Not run", "Attempts", "Time", "GPU hours", "Waited (median)")
TROUBLE_HEADINGS = ("Job", "State", "Why", "Attempts")
NOTES = (
    "An attempt is one start or submission by Snakemake; a job that the scheduler puts back into its queue does not "
    "count again. Attempts are unknown if Snakemake's logs were deleted.",
    "Waited: time from submission to the start of the script, including the overhead of SLURM and Snakemake.",
)

STAMP = re.compile(r"^\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$")
RULE = re.compile(r"^(?:local)?rule (\w+):$")
LOG = re.compile(r"^    log: (\S+)")
NUMBER = re.compile(r"^    jobid: (\d+)$")
SUBMITTED = re.compile(r"^Job (\d+) has been submitted with SLURM jobid (\d+)")
ERROR = re.compile(r"^Error in rule \w+")
ERROR_NUMBER = re.compile(r"^    jobid: (\d+)")


@dataclass(kw_only=True)
class Attempts:
    """Attempts of one job in Snakemake's logs."""

    starts: list[float] = field(default_factory=list)  # seconds since 1970
    failures: int = 0
    slurm: str = ""  # the latest SLURM job number


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """State of one planned job; `waited` (seconds) and `attempts` are None if unknown."""

    job: PlannedJob
    state: str
    why: str
    seconds: float
    gpu_seconds: float
    attempts: int | None
    failures: int
    slurm: str
    waited: float | None

    @property
    def name(self) -> str:
        """Stage and the path of the job's log below the folder of the stage, without its ending."""
        parts = self.job.log.with_suffix("").parts
        return f"{self.job.stage} {'/'.join(parts[parts.index(self.job.stage) + 1 :])}"


@dataclass(frozen=True, kw_only=True)
class Statuses:
    """Tables of the section: a row per stage, and a row per job that failed, was retried or is unfinished."""

    stages: tuple[tuple[str, ...], ...]
    troubles: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = NOTES
    headings: tuple[str, ...] = HEADINGS
    trouble_headings: tuple[str, ...] = TROUBLE_HEADINGS


def read_statuses(manifest: Manifest, *, logs: Path = SNAKEMAKE_LOGS) -> Statuses:
    """Return the tables of the report."""
    jobs = list_statuses(manifest, read_attempts(logs))
    troubled = [job for job in jobs if job.failures or job.state in (FAILED, UNFINISHED)]
    return Statuses(
        stages=tuple(by_stage(jobs)),
        troubles=tuple((job.name, job.state, job.why, _count(job.attempts)) for job in troubled[:MAX_TROUBLES]),
    )


def list_statuses(manifest: Manifest, attempts: Mapping[str, Attempts]) -> list[JobStatus]:
    """Return the status of every planned job, stage by stage; `attempts` are by the path of the job's log."""
    statuses: dict[PlannedJob, JobStatus] = {}
    for cell in manifest.cells:
        for place, job in enumerate(cell.jobs):
            if job not in statuses:
                needed = [statuses[other] for other in _needed(cell.jobs, place)]
                statuses[job] = _status(job, attempts.get(str(job.log)), needed)
    return sorted(statuses.values(), key=lambda status: STAGES.index(status.job.stage))


def _needed(jobs: Sequence[PlannedJob], place: int) -> Sequence[PlannedJob]:
    """Return the jobs that job number `place` depends on; pre-training needs its own corpus, the last one acquired."""
    stage = jobs[place].stage
    if stage == ACQUIRE:
        return []
    if stage in STAGES[: STAGES.index(EMBED)]:
        last = max((number for number, job in enumerate(jobs[:place]) if job.stage == ACQUIRE), default=0)
        return jobs[last:place]
    return jobs[:place]


def read_attempts(logs: Path) -> dict[str, Attempts]:
    """Return the attempts by the path of each job's log, from all of Snakemake's logs in a folder."""
    attempts: dict[str, Attempts] = {}
    for path in sorted(logs.glob("*.snakemake.log")):
        _read_log(path, attempts)
    return attempts


def _read_log(path: Path, attempts: dict[str, Attempts]) -> None:
    """Add the attempts in one of Snakemake's logs to `attempts`."""
    now, announced, in_error, log = 0.0, False, False, ""
    job_logs: dict[str, str] = {}  # by Snakemake's number of the job
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if stamp := STAMP.match(line):
            now = time.mktime(time.strptime(stamp.group(1)))
            announced = in_error = False
        elif RULE.match(line):
            announced, log = True, ""
        elif ERROR.match(line):
            in_error = True
        elif announced and (match := LOG.match(line)):
            log = match.group(1)
        elif announced and (match := NUMBER.match(line)):
            if log:
                job_logs[match.group(1)] = log
                attempts.setdefault(log, Attempts()).starts.append(now)
            announced = False
        elif in_error and (match := ERROR_NUMBER.match(line)):
            if match.group(1) in job_logs:
                attempts[job_logs[match.group(1)]].failures += 1
            in_error = False
        elif (match := SUBMITTED.match(line)) and match.group(1) in job_logs:
            attempts[job_logs[match.group(1)]].slurm = match.group(2)


def _status(job: PlannedJob, attempts: Attempts | None, needed: Sequence[JobStatus]) -> JobStatus:
    record = _record(job)
    state, why = (DONE, "") if record and job.output.exists() else _why(job, needed)
    seconds = float(record.get("seconds") or 0)
    return JobStatus(
        job=job,
        state=state,
        why=why,
        seconds=seconds,
        gpu_seconds=seconds if str(record.get("device", "")).startswith(GPU) else 0.0,
        attempts=len(attempts.starts) if attempts else None,
        failures=attempts.failures if attempts else 0,
        slurm=attempts.slurm if attempts else "",
        waited=_waited(record, attempts) if attempts and attempts.slurm else None,
    )


def _why(job: PlannedJob, needed: Sequence[JobStatus]) -> tuple[str, str]:
    """Return state and reason of a job without a result."""
    if text := read_reason(job):
        state, _, reason = text.partition(": ")
        return state, reason.removeprefix(f"{job.stage}: ")
    missing = next((job for job in needed if job.state != DONE), None)
    return (WAITS, f"waits for {missing.name}") if missing else (NOT_RUN, "was not started")


def _waited(record: Mapping[str, Any], attempts: Attempts) -> float | None:
    """Return the seconds from the last submission before the start of the script to that start."""
    if "started" not in record:
        return None
    started = _seconds_of(record["started"])
    submitted = [at for at in attempts.starts if at <= started + 1]  # log times are whole seconds
    return max(0.0, started - submitted[-1]) if submitted else None


def _seconds_of(stamp: str) -> float:
    """Return a record's time, which is UTC, in seconds since 1970."""
    return float(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")))


def _record(job: PlannedJob) -> dict[str, Any]:
    try:
        content = json.loads(job.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def by_stage(statuses: Sequence[JobStatus]) -> Iterator[tuple[str, ...]]:
    """Return one row per stage with the columns `HEADINGS`."""
    for stage in dict.fromkeys(status.job.stage for status in statuses):
        jobs = [status for status in statuses if status.job.stage == stage]
        known = [job.attempts for job in jobs if job.attempts is not None]
        waits = [job.waited for job in jobs if job.waited is not None]
        hours = sum(job.gpu_seconds for job in jobs) / 3600
        yield (
            stage,
            f"{len(jobs):,}",
            f"{_in_state(jobs, DONE):,}",
            f"{sum(job.attempts > 1 for job in jobs if job.attempts):,}",
            f"{_in_state(jobs, FAILED, UNFINISHED):,}",
            f"{_in_state(jobs, NOT_RUN, WAITS):,}",
            f"{sum(known):,}" if known else "",
            number_format.duration(sum(job.seconds for job in jobs)),
            f"{hours:,.2f}" if hours else "",
            number_format.duration(median(waits)) if waits else "",
        )


def _in_state(jobs: Iterable[JobStatus], *states: str) -> int:
    return sum(job.state in states for job in jobs)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
