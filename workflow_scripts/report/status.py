"""State of each job: done, or missing with the reason; attempts, waiting time and run time.

The manifest lists the jobs. Their records prove results and state what these were computed from, their logs have the
reasons of failures, and the journal has the attempts of all invocations of Snakemake, killed ones included.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from workflow_scripts.core.checksums import CHECKSUMS, OWN, read_record, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.provenance import digest
from workflow_scripts.core.result_files import record_of
from workflow_scripts.core.validation import parse_json
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.attempts import Attempts, read_attempts, total_seconds
from workflow_scripts.planning.manifest import Manifest, PlannedJob
from workflow_scripts.report import number_format
from workflow_scripts.statistics.failure_reasons import FAILED, NOT_RUN, STALE, UNFINISHED, read_reason

ACQUIRE, PREPARE, EMBED, EVALUATE = "acquire", "prepare", "embed", "evaluate"
STAGES = (ACQUIRE, PREPARE, "extract", "weigh", "pretrain", "import_checkpoint", EMBED, EVALUATE, "visualise_filters")
DONE, RUNNING, DAMAGED, WAITS = "done", "running", "damaged", "waiting"
GPU = "cuda"  # beginning of the device name of a GPU
#: types of what is read of a record, which may be damaged
KINDS = {"seconds": float | int, "training_seconds": float | int, "data": dict, "device": str, "started": str}
MAX_TROUBLES = 50  # jobs on the page that failed, were retried or are stale; the command lists all
HEADINGS = (
    *("Stage", "Jobs", "Done", "Stale", "Running", "Retried", "Failed", "Not run"),
    *("Attempts", "Time", "GPU hours", "Waited (median)"),
)
TROUBLE_HEADINGS = ("Job", "State", "Why", "Attempts")
NOTES = (
    "An attempt is one start or submission by Snakemake since its previous result; a job that the scheduler puts back "
    "into its queue does not count again. Attempts are unknown if logs/attempts.jsonl in the results was deleted.",
    "Time and GPU hours: of all attempts. On SLURM an attempt that failed counts from its start on the node.",
    "Stale: the result was computed with other code, another config or other data than planned; it is computed again.",
    "Waited: time from submission to the start of the script, including the overhead of SLURM and Snakemake.",
)


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
    is_counted: bool = True  # False if its attempts are also those of a job listed before: that evaluated both cells
    facts: Mapping[str, Any] = field(default_factory=dict)  # of an acquired data set or a prepared corpus: its file

    @property
    def name(self) -> str:
        """Stage and the path of the job's log below the folder of the stage, without its ending.

        If the log is that of several cells, the path of the cell.
        """
        stage, parts = self.job.stage, self.job.log.with_suffix("").parts
        of_job = parts[parts.index(stage) + 1 :] if stage in parts else self.job.output.parent.parts[-len(FACTORS) :]
        return f"{stage} {'/'.join(of_job)}"


@dataclass(frozen=True, kw_only=True)
class Statuses:
    """Tables of the section: a row per stage, and a row per job that failed, was retried or is unfinished."""

    stages: tuple[tuple[str, ...], ...]
    troubles: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = NOTES
    headings: tuple[str, ...] = HEADINGS
    trouble_headings: tuple[str, ...] = TROUBLE_HEADINGS


def tabulate(jobs: Sequence[JobStatus]) -> Statuses:
    """Return the tables of the report."""
    troubles = [job for job in jobs if (job.failures and job.is_counted) or job.state in (FAILED, UNFINISHED, STALE)]
    return Statuses(
        stages=tuple(by_stage(jobs)),
        troubles=tuple((job.name, job.state, job.reason, _count(job.attempts)) for job in troubles[:MAX_TROUBLES]),
    )


def list_statuses(
    manifest: Manifest, attempts: Mapping[str, Attempts], *, compare_files: bool = False
) -> list[JobStatus]:
    """Return the status of every planned job, stage by stage; `attempts` are by the path of its record or its log.

    With `compare_files` the files of every result are compared with the checksums in its record.
    """
    statuses: dict[PlannedJob, JobStatus] = {}
    counted: set[int] = set()
    for cell in manifest.cells:
        for place, job in enumerate(cell.jobs):
            if job not in statuses:
                prerequisites = [statuses[other] for other in _prerequisites(cell.jobs, place)]
                own = attempts.get(str(job.record)) or attempts.get(str(job.log))
                status = _status(job, own, prerequisites, is_counted=id(own) not in counted)
                counted |= {id(own)} if own else set()
                has_record = status.state in (DONE, NOT_RUN) and job.record.is_file()
                damage = _find_damage(job) if compare_files and has_record else ""
                statuses[job] = replace(status, state=DAMAGED, reason=damage) if damage else status
    return sorted(statuses.values(), key=lambda status: STAGES.index(status.job.stage))


def describe(jobs: Iterable[JobStatus], queued: Mapping[str, str]) -> Iterator[str]:
    """Yield lines on the jobs that are not done and do not wait for another; `queued` are states by SLURM's numbers."""
    for job in jobs:
        if job.state not in (DONE, WAITS):
            failures = f" [{job.failures} of {job.attempts} attempts failed]" if job.failures else ""
            state = queued.get(job.slurm) or f"{job.state}: {job.reason}"
            yield f"{job.name}: {state}{failures}"
            if job.state in (FAILED, UNFINISHED):
                yield f"    {job.job.log}"


def describe_failures(manifest: Manifest) -> Iterator[str]:
    """Yield lines on the failed jobs of a manifest, and on those that no cell needs."""
    attempts = read_attempts(manifest.journal)
    failed = [job for job in list_statuses(manifest, attempts) if job.state in (FAILED, UNFINISHED)]
    yield from describe(failed[:MAX_TROUBLES], {})
    if len(failed) > MAX_TROUBLES:
        yield f"{len(failed) - MAX_TROUBLES:,} more"
    yield from list_other_failures(manifest, attempts)


def list_other_failures(manifest: Manifest, attempts: Mapping[str, Attempts]) -> list[str]:
    """Return a line on each failed job that no cell needs, such as an audit or a figure: its first file and reason."""
    planned = {str(path) for cell in manifest.cells for job in cell.jobs for path in (job.output, job.record, job.log)}
    known = {id(job) for file, job in attempts.items() if file in planned}
    failures: dict[int, str] = {}
    for file, job in attempts.items():
        if id(job) not in known and job.all[-1].failed and not Path(file).exists():
            failures.setdefault(id(job), f"{job.rule} {file}: {FAILED}: {job.all[-1].reason}")
    return list(failures.values())


def _prerequisites(jobs: Sequence[PlannedJob], place: int) -> Sequence[PlannedJob]:
    """Return the jobs that job number `place` depends on; pre-training needs its own corpus, the last one acquired."""
    stage = jobs[place].stage
    if stage == ACQUIRE:
        return []
    if stage in STAGES[: STAGES.index(EMBED)]:
        last = max((number for number, job in enumerate(jobs[:place]) if job.stage == ACQUIRE), default=0)
        return jobs[last:place]
    return jobs[:place]


def _status(
    job: PlannedJob, attempts: Attempts | None, prerequisites: Sequence[JobStatus], *, is_counted: bool
) -> JobStatus:
    record = _read(job.record)
    state, reason = _find_state(job, record, attempts, prerequisites)
    on_gpu = str(record.get("device", "")).startswith(GPU)
    others = [attempt for attempt in attempts.all if not attempt.succeeded] if attempts and is_counted else []
    seconds = total_seconds(record, attempts if is_counted else None)
    return JobStatus(
        job=job,
        state=state,
        reason=reason,
        seconds=seconds,
        gpu_seconds=seconds if on_gpu else sum(attempt.seconds for attempt in others if attempt.gpu),
        attempts=len(attempts.all) if attempts else None,
        failures=len(attempts.failures) if attempts else 0,
        slurm=attempts.slurm if attempts else "",
        wait_seconds=_wait_seconds(record, attempts) if attempts and attempts.slurm and is_counted else None,
        is_counted=is_counted,
        facts=_read(job.output) if job.stage in (ACQUIRE, PREPARE) else {},
    )


def _find_state(
    job: PlannedJob, record: Mapping[str, Any], attempts: Attempts | None, prerequisites: Sequence[JobStatus]
) -> tuple[str, str]:
    """Return the state of a job, and its reason: of a job that is done, why its last failed attempt failed."""
    last_failure = attempts.failures[-1].reason if attempts and attempts.failures else ""
    is_there = bool(record) and job.output.exists()
    why = _find_staleness(job, record, prerequisites) if is_there else ""
    if attempts and attempts.running and (why or not is_there):  # not the finished cells of a job
        return RUNNING, f"since {time.strftime('%Y-%m-%d %H:%M', time.localtime(attempts.all[-1].started))}"
    has_failed = bool(attempts and attempts.all[-1].failed)
    if is_there and not (why and has_failed):  # else it failed before it could replace the stale result
        return (STALE, why) if why else (DONE, last_failure and f"an attempt before: {last_failure}")
    if has_failed and (is_there or not job.log.is_file()):
        return FAILED, last_failure
    return _explain_absence(job, attempts, prerequisites, last_failure)


def _explain_absence(
    job: PlannedJob, attempts: Attempts | None, prerequisites: Sequence[JobStatus], last_failure: str
) -> tuple[str, str]:
    """Return the state of a job without the planned result, and its reason, by its attempts and its log."""
    if attempts and attempts.all[-1].succeeded:
        return NOT_RUN, "has run, but its result is missing or cannot be read"
    if text := read_reason(job):
        state, _, reason = text.partition(": ")
        return state, reason.removeprefix(f"{job.stage}: ")
    if last_failure:
        return FAILED, last_failure
    missing = next((status for status in prerequisites if status.state != DONE), None)
    return (WAITS, f"waits for {missing.name}") if missing else (NOT_RUN, "was not started")


def _find_staleness(job: PlannedJob, record: Mapping[str, Any], prerequisites: Sequence[JobStatus]) -> str:
    """Return why a result is not the planned one, by its record; empty if it is.

    Code and config are compared with the plan, data with the corpora and data sets that are there now.
    """
    if job.config and digest(record.get("config")) != job.config:
        return "computed with another config"
    if job.code and record.get("code") != job.code:
        return "computed with other code, or from results that were"
    for status in prerequisites:
        now, path = status.facts.get("digest"), status.job.output
        if status.job.stage == PREPARE and now != record.get("data", {}).get(status.facts.get("dataset"), now):
            return f"the corpus on disk has another digest: {path}"
        was_acquired = (job.stage, status.job.stage) == (PREPARE, ACQUIRE) and path.exists()
        if was_acquired and now != record.get("acquired"):
            return f"the data set was acquired again and has other files: {path}"
    stale = next((status.name for status in prerequisites if status.state == STALE), "")
    return stale and f"computed from {stale}, which is stale"


def _find_damage(job: PlannedJob) -> str:
    """Return what is wrong with the files of a result, by the checksums in its records; empty if nothing is."""
    if job.stage == ACQUIRE:  # data sets may be terabytes
        return ""
    try:
        for record in dict.fromkeys((job.record, record_of(job.output))):
            for name in {*read_record(record)[CHECKSUMS]} - {OWN}:
                require_unchanged(record.with_name(name), record=record)
    except (UserError, OSError) as error:
        return str(error)
    return ""


def _wait_seconds(record: Mapping[str, Any], attempts: Attempts) -> float | None:
    """Return the seconds from the last submission before the start of the script to that start."""
    try:
        started = _seconds_of(record["started"])
    except (KeyError, ValueError):
        return None
    submitted = [attempt.started for attempt in attempts.all if attempt.started <= started + 1]  # it is whole seconds
    return max(0.0, started - submitted[-1]) if submitted else None


def _seconds_of(stamp: str) -> float:
    """Return a record's time, which is UTC, in seconds since 1970."""
    return float(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")))


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file; empty if it is missing or damaged."""
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return content if all(isinstance(content[key], kind) for key, kind in KINDS.items() if key in content) else {}


def by_stage(statuses: Sequence[JobStatus]) -> Iterator[tuple[str, ...]]:
    """Return one row per stage with the columns `HEADINGS`."""
    for stage in dict.fromkeys(status.job.stage for status in statuses):
        jobs = [status for status in statuses if status.job.stage == stage]
        known = [job.attempts for job in jobs if job.attempts is not None and job.is_counted]
        waits = [job.wait_seconds for job in jobs if job.wait_seconds is not None]
        hours = sum(job.gpu_seconds for job in jobs) / 3600
        yield (
            stage,
            f"{len(jobs):,}",
            f"{_in_state(jobs, DONE):,}",
            f"{_in_state(jobs, STALE):,}",
            f"{_in_state(jobs, RUNNING):,}",
            f"{sum(attempts > 1 for attempts in known):,}",
            f"{_in_state(jobs, FAILED, UNFINISHED, DAMAGED):,}",
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
