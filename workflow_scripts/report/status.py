"""State of each job: done, or missing with the reason; attempts, waiting time and run time.

The manifest lists the jobs. Their records prove results, their logs have the reasons of failures, and Snakemake's own
logs have the attempts, summed over all its invocations, killed ones included.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


@dataclass(kw_only=True)
class Attempts:
    """Attempts of one job in Snakemake's logs."""

    starts: list[float] = field(default_factory=list)  # seconds since 1970
    failures: int = 0
    slurm: str = ""  # the latest SLURM job number


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """State of one planned job; `wait_seconds` and `attempts` are None if unknown."""

    job: PlannedJob
    state: str
    reason: str
    seconds: float
    gpu_seconds: float
    attempts: int | None
    failures: int
    slurm: str
    wait_seconds: float | None

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
    troubles = [job for job in jobs if job.failures or job.state in (FAILED, UNFINISHED)]
    return Statuses(
        stages=tuple(by_stage(jobs)),
        troubles=tuple((job.name, job.state, job.reason, _count(job.attempts)) for job in troubles[:MAX_TROUBLES]),
    )


def list_statuses(manifest: Manifest, attempts: Mapping[str, Attempts]) -> list[JobStatus]:
    """Return the status of every planned job, stage by stage; `attempts` are by the path of the job's log."""
    statuses: dict[PlannedJob, JobStatus] = {}
    for cell in manifest.cells:
        for place, job in enumerate(cell.jobs):
            if job not in statuses:
                prerequisites = [statuses[other] for other in _prerequisites(cell.jobs, place)]
                statuses[job] = _status(job, attempts.get(str(job.log)), prerequisites)
    return sorted(statuses.values(), key=lambda status: STAGES.index(status.job.stage))


def _prerequisites(jobs: Sequence[PlannedJob], place: int) -> Sequence[PlannedJob]:
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
        SnakemakeLog(attempts).read(path)
    return attempts


@dataclass
class SnakemakeLog:
    """Reader of one of Snakemake's logs, which adds to `attempts`; it has a handler for each kind of line."""

    attempts: dict[str, Attempts]
    job_logs: dict[str, str] = field(default_factory=dict)  # by Snakemake's number of the job
    timestamp: float = 0.0
    block: str = ""  # "rule" or "error" until the number of the job that it is about
    log: str = ""  # of the job that the block announces

    def read(self, path: Path) -> None:
        """Handle every line of a log."""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            for pattern, handle in EVENTS:
                if match := pattern.match(line):
                    handle(self, *match.groups())

    def set_time(self, stamp: str) -> None:
        """Begin what follows a time stamp."""
        self.timestamp, self.block = time.mktime(time.strptime(stamp)), ""

    def begin_rule(self) -> None:
        """Begin the announcement of a job."""
        self.block, self.log = "rule", ""

    def begin_error(self) -> None:
        """Begin the message about a failed job."""
        self.block = "error"

    def set_log(self, path: str) -> None:
        """Keep the log of the announced job; that of a failed one is known from its announcement."""
        if self.block == "rule":
            self.log = path

    def end_block(self, number: str) -> None:
        """Count a start of the announced job, or a failure of the failed one."""
        if self.block == "rule" and self.log:
            self.job_logs[number] = self.log
            self.attempts.setdefault(self.log, Attempts()).starts.append(self.timestamp)
        elif self.block == "error" and number in self.job_logs:
            self.attempts[self.job_logs[number]].failures += 1
        self.block = ""

    def set_slurm_number(self, number: str, slurm: str) -> None:
        """Keep the latest SLURM job number of a job."""
        if number in self.job_logs:
            self.attempts[self.job_logs[number]].slurm = slurm


EVENTS: tuple[tuple[re.Pattern[str], Callable[..., None]], ...] = (
    (re.compile(r"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$"), SnakemakeLog.set_time),
    (re.compile(r"(?:local)?rule \w+:$"), SnakemakeLog.begin_rule),
    (re.compile(r"Error in rule \w+"), SnakemakeLog.begin_error),
    (re.compile(r"    log: (\S+)"), SnakemakeLog.set_log),
    (re.compile(r"    jobid: (\d+)"), SnakemakeLog.end_block),
    (re.compile(r"Job (\d+) has been submitted with SLURM jobid (\d+)"), SnakemakeLog.set_slurm_number),
)


def _status(job: PlannedJob, attempts: Attempts | None, prerequisites: Sequence[JobStatus]) -> JobStatus:
    record = _record(job)
    state, reason = (DONE, "") if record and job.output.exists() else _find_reason(job, prerequisites)
    seconds = float(record.get("seconds") or 0)
    return JobStatus(
        job=job,
        state=state,
        reason=reason,
        seconds=seconds,
        gpu_seconds=seconds if str(record.get("device", "")).startswith(GPU) else 0.0,
        attempts=len(attempts.starts) if attempts else None,
        failures=attempts.failures if attempts else 0,
        slurm=attempts.slurm if attempts else "",
        wait_seconds=_wait_seconds(record, attempts) if attempts and attempts.slurm else None,
    )


def _find_reason(job: PlannedJob, prerequisites: Sequence[JobStatus]) -> tuple[str, str]:
    """Return state and reason of a job without a result."""
    if text := read_reason(job):
        state, _, reason = text.partition(": ")
        return state, reason.removeprefix(f"{job.stage}: ")
    missing = next((job for job in prerequisites if job.state != DONE), None)
    return (WAITS, f"waits for {missing.name}") if missing else (NOT_RUN, "was not started")


def _wait_seconds(record: Mapping[str, Any], attempts: Attempts) -> float | None:
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
        waits = [job.wait_seconds for job in jobs if job.wait_seconds is not None]
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
