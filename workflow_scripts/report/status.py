"""What became of each job: done, or missing and why; how often it was tried, how long it waited and how long it took.

The plan says which jobs there are, records say what was done, the jobs' logs why something was not, and Snakemake's own
logs what was tried. Those of several invocations, killed ones too, tell one story.
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
GPU = "cuda"  # how the name of a device that is one begins
LISTED = 50  # troubled jobs on the page; the command lists all
HEADINGS = ("Stage", "Jobs", "Done", "Retried", "Failed", "Not run", "Attempts", "Time", "GPU hours", "Waited (median)")
TROUBLE_HEADINGS = ("Job", "State", "Why", "Attempts")
NOTES = (
    "An attempt is one start or submission by Snakemake; a job that the scheduler put back into its queue is not a new "
    "one. Where Snakemake's logs are gone, attempts are not known.",
    "Waited: from submission to the script's start, which includes the time SLURM and Snakemake take to start it.",
)

STAMP = re.compile(r"^\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$")
RULE = re.compile(r"^(?:local)?rule (\w+):$")
LOG = re.compile(r"^    log: (\S+)")
NUMBER = re.compile(r"^    jobid: (\d+)$")
SUBMITTED = re.compile(r"^Job (\d+) has been submitted with SLURM jobid (\d+)")
ERROR = re.compile(r"^Error in rule \w+")
ERROR_NUMBER = re.compile(r"^    jobid: (\d+)")


@dataclass(kw_only=True)
class Tries:
    """What Snakemake's logs tell of one job."""

    starts: list[float] = field(default_factory=list)  # seconds since 1970
    failures: int = 0
    slurm: str = ""  # the latest number SLURM gave it


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """One planned job; `waited` and `attempts` are None where nothing tells."""

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
        """Verb and what the job is about, as its log is called below the folder of the logs."""
        parts = self.job.log.with_suffix("").parts
        return f"{self.job.stage} {'/'.join(parts[parts.index(self.job.stage) + 1 :])}"


@dataclass(frozen=True, kw_only=True)
class Statuses:
    """Tables of the section: a row per stage, and a row per job that failed, was tried again or is missing."""

    stages: tuple[tuple[str, ...], ...]
    troubles: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = NOTES
    headings: tuple[str, ...] = HEADINGS
    trouble_headings: tuple[str, ...] = TROUBLE_HEADINGS


def read(plan: Manifest, *, logs: Path = SNAKEMAKE_LOGS) -> Statuses:
    """Tables for the report."""
    found = statuses(plan, tries(logs))
    troubled = [each for each in found if each.failures or each.state in (FAILED, UNFINISHED)]
    return Statuses(
        stages=tuple(by_stage(found)),
        troubles=tuple((each.name, each.state, each.why, _count(each.attempts)) for each in troubled[:LISTED]),
    )


def statuses(plan: Manifest, tried: Mapping[str, Tries]) -> list[JobStatus]:
    """Every job of a plan once, stage by stage."""
    found: dict[PlannedJob, JobStatus] = {}
    for evaluation in plan.evaluations:
        for place, job in enumerate(evaluation.jobs):
            if job not in found:
                needed = [found[other] for other in _needed(evaluation.jobs, place)]
                found[job] = _status(job, tried.get(str(job.log)), needed)
    return sorted(found.values(), key=lambda each: STAGES.index(each.job.stage))


def _needed(jobs: Sequence[PlannedJob], place: int) -> Sequence[PlannedJob]:
    """Those of the jobs before one that it cannot do without: training needs its own corpus, the last acquired."""
    verb = jobs[place].stage
    if verb == ACQUIRE:
        return []
    if verb in STAGES[: STAGES.index(EMBED)]:
        last = max((number for number, job in enumerate(jobs[:place]) if job.stage == ACQUIRE), default=0)
        return jobs[last:place]
    return jobs[:place]


def tries(logs: Path) -> dict[str, Tries]:
    """What was tried, by the log file of each job, from all of Snakemake's logs in a folder."""
    found: dict[str, Tries] = {}
    for path in sorted(logs.glob("*.snakemake.log")):
        _read_log(path, found)
    return found


def _read_log(path: Path, found: dict[str, Tries]) -> None:
    now, announced, in_error, log = 0.0, False, False, ""
    named: dict[str, str] = {}  # Snakemake's number of a job -> its log
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
                named[match.group(1)] = log
                found.setdefault(log, Tries()).starts.append(now)
            announced = False
        elif in_error and (match := ERROR_NUMBER.match(line)):
            if match.group(1) in named:
                found[named[match.group(1)]].failures += 1
            in_error = False
        elif (match := SUBMITTED.match(line)) and match.group(1) in named:
            found[named[match.group(1)]].slurm = match.group(2)


def _status(job: PlannedJob, tried: Tries | None, needed: Sequence[JobStatus]) -> JobStatus:
    record = _record(job)
    state, why = (DONE, "") if record and job.output.exists() else _why(job, needed)
    seconds = float(record.get("seconds") or 0)
    return JobStatus(
        job=job,
        state=state,
        why=why,
        seconds=seconds,
        gpu_seconds=seconds if str(record.get("device", "")).startswith(GPU) else 0.0,
        attempts=len(tried.starts) if tried else None,
        failures=tried.failures if tried else 0,
        slurm=tried.slurm if tried else "",
        waited=_waited(record, tried) if tried and tried.slurm else None,
    )


def _why(job: PlannedJob, needed: Sequence[JobStatus]) -> tuple[str, str]:
    """State and reason of a job that has left no result."""
    if text := read_reason(job):
        state, _, reason = text.partition(": ")
        return state, reason.removeprefix(f"{job.stage}: ")
    missing = next((each for each in needed if each.state != DONE), None)
    return (WAITS, f"waits for {missing.name}") if missing else (NOT_RUN, "was not started")


def _waited(record: Mapping[str, Any], tried: Tries) -> float | None:
    """Seconds between the last submission before the script's start and that start."""
    if "started" not in record:
        return None
    started = _seconds_of(record["started"])
    submitted = [at for at in tried.starts if at <= started + 1]  # stamps are whole seconds
    return max(0.0, started - submitted[-1]) if submitted else None


def _seconds_of(stamp: str) -> float:
    """Seconds since 1970 of a record's time, which is UTC."""
    return float(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")))


def _record(job: PlannedJob) -> dict[str, Any]:
    try:
        content = json.loads(job.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def by_stage(found: Sequence[JobStatus]) -> Iterator[tuple[str, ...]]:
    """One row per stage, as `HEADINGS` says."""
    for verb in dict.fromkeys(each.job.stage for each in found):
        jobs = [each for each in found if each.job.stage == verb]
        known = [each.attempts for each in jobs if each.attempts is not None]
        waits = [each.waited for each in jobs if each.waited is not None]
        hours = sum(each.gpu_seconds for each in jobs) / 3600
        yield (
            verb,
            f"{len(jobs):,}",
            f"{_in_state(jobs, DONE):,}",
            f"{sum(each.attempts > 1 for each in jobs if each.attempts):,}",
            f"{_in_state(jobs, FAILED, UNFINISHED):,}",
            f"{_in_state(jobs, NOT_RUN, WAITS):,}",
            f"{sum(known):,}" if known else "",
            number_format.duration(sum(each.seconds for each in jobs)),
            f"{hours:,.2f}" if hours else "",
            number_format.duration(median(waits)) if waits else "",
        )


def _in_state(jobs: Iterable[JobStatus], *states: str) -> int:
    return sum(each.state in states for each in jobs)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
