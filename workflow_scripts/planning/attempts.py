"""Attempts of jobs: the journal that a running workflow writes, one JSON object a line, and its reader.

Snakemake's own logs name no jobs with `--quiet rules` and do not separate the files of a list, so the journal is
written from the events that Snakemake logs, whatever it shows of them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from workflow_scripts.core.files import append_plain
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.planning import job_logs

RUN, START, SUBMISSION, SUCCESS, FAILURE, STOP = "run", "start", "submission", "success", "failure", "stop"
SUBMITTED = re.compile(r"Job (\d+) has been submitted with SLURM jobid (\w+)")
SUBMITTED_ARRAY = re.compile(
    r"Submitted array job with Snakemake IDs ([\d,]+) and SLURM job ID (\w+)\. The individual task IDs are (\d+)-"
)
HOST = socket.gethostname()
MAX_ERRORS = 100  # exceptions of shell commands that wait for the event that names their job; it follows at once
INTERRUPTED = "interrupted: Snakemake was stopped"
KILLED = "interrupted: Snakemake ended before the job did"


class _StartedJob(NamedTuple):
    """A job that Snakemake has started."""

    files: list[str]
    log: Path
    command: str
    earlier_log: tuple[int, ...]  # version of the log of an attempt before


class Journal(logging.Handler):
    """Handler of Snakemake's log events that writes the journal, and into the log of a killed job why it ended."""

    def __init__(self, path: Path) -> None:
        """Take the file to append to; it is created with the first job."""
        super().__init__()
        self.path = path
        self._jobs: dict[int, _StartedJob] = {}
        self._errors: deque[str] = deque(maxlen=MAX_ERRORS)

    def emit(self, record: logging.LogRecord) -> None:
        """Write what an event states about a job; a full disk, or an event of another form, must not stop the run."""
        event = str(getattr(getattr(record, "event", None), "value", ""))
        try:
            if handle := HANDLERS.get(event):
                handle(self, record.__dict__)
            elif not event:
                self._find_submission(record.getMessage())
        except Exception as error:
            logging.getLogger(__name__).debug("journal: %s", error)

    def close(self) -> None:
        """Write that the run ended."""
        if self._jobs:
            self._write(STOP)
            self._jobs.clear()
        super().close()

    def start(self, event: Mapping[str, Any]) -> None:
        """Write the start of a job; jobs without a log write no results that anybody waits for."""
        if not event["log"]:
            return
        if not self._jobs:
            self._write(RUN)
        log = Path(event["log"][0])
        job = _StartedJob(list(event["output"]), log, event["shellcmd"] or "", job_logs.read_version(log))
        self._jobs[event["jobid"]] = job
        files = [*job.files, str(job.log)]  # a job whose output has two names has one log
        self._write(START, rule=event["rule_name"], files=files, gpu=_asks_for_gpu(event["resources"]))

    def keep_error(self, event: Mapping[str, Any]) -> None:
        """Keep the exception of a shell command until the job that failed is named."""
        self._errors.append(str(event["msg"]))

    def fail(self, event: Mapping[str, Any]) -> None:
        """Write that a job failed, and why."""
        job = self._jobs[event["jobid"]]
        # an exception names the command, or the files that are missing after it
        marks = [*filter(None, [job.command]), *job.files]
        error = next((text for text in reversed(self._errors) if any(mark in text for mark in marks)), "")
        slurm_log = next((Path(path) for path in event["log"] if Path(path) != job.log), None)
        message = str(event["rule_msg"] or "")
        reason = job_logs.explain_end(
            job.log, message=message, error=error, slurm_log=slurm_log, earlier=job.earlier_log
        )
        self._write(FAILURE, file=job.files[0], reason=reason, began=job_logs.read_start(slurm_log))

    def succeed(self, event: Mapping[str, Any]) -> None:
        """Write that a job has its results."""
        if job := self._jobs.get(event["job_id"]):
            self._write(SUCCESS, file=job.files[0])

    def _find_submission(self, message: str) -> None:
        """Write the SLURM number of a job, or of those of an array."""
        if match := SUBMITTED.match(message):
            self._write(SUBMISSION, file=self._jobs[int(match[1])].files[0], slurm=match[2])
        elif match := SUBMITTED_ARRAY.match(message):
            for task, number in enumerate(match[1].split(","), start=int(match[3])):
                self._write(SUBMISSION, file=self._jobs[int(number)].files[0], slurm=f"{match[2]}_{task}")

    def _write(self, event: str, **content: object) -> None:
        line = json.dumps({"event": event, "at": time.time(), "pid": os.getpid(), "host": HOST, **content})
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_plain(self.path, f"{line}\n")


#: by the value of Snakemake's event
HANDLERS = {
    "job_info": Journal.start,
    "error": Journal.keep_error,
    "job_error": Journal.fail,
    "job_finished": Journal.succeed,
}


def _asks_for_gpu(resources: Any) -> bool:
    """Return whether a job asks for a GPU, by number or, on SLURM, by name."""
    return bool(resources.get("gpu")) or "gpu" in str(resources.get("gres", ""))


#: process and host of a run
_RunKey = tuple[int, str]

#: seconds since 1970; after the year 9999 no calendar can show them
Moment = Annotated[float, Field(ge=0, le=253_402_300_799)]


class _Event(StrictModel):
    """One line of the journal."""

    model_config = ConfigDict(extra="ignore")  # another version may write more

    at: Moment
    pid: int = Field(gt=0, lt=2**31)  # of the run's Snakemake; process numbers have 31 bits
    host: str

    @property
    def run(self) -> _RunKey:
        """Run that wrote the line."""
        return (self.pid, self.host)


class _Run(_Event):
    """Start of a run."""

    event: Literal["run"]


class _Start(_Event):
    """Start of a job."""

    event: Literal["start"]
    files: tuple[str, ...]
    rule: str = ""
    gpu: bool = False


class _Submission(_Event):
    """Submission of a job to SLURM."""

    event: Literal["submission"]
    file: str
    slurm: str


class _Success(_Event):
    """End of a job with its results."""

    event: Literal["success"]
    file: str


class _Failure(_Event):
    """End of a job without results."""

    event: Literal["failure"]
    file: str
    reason: str = ""
    began: Moment | None = None


class _Stop(_Event):
    """End of a run."""

    event: Literal["stop"]


_Line = _Run | _Start | _Submission | _Success | _Failure | _Stop
LINES: TypeAdapter[_Line] = TypeAdapter(Annotated[_Line, Field(discriminator="event")])


@dataclass(kw_only=True)
class Attempt:
    """One start of a job; times are in seconds since 1970, `ended` is None while it may still run."""

    started: float
    run: _RunKey | None = None
    gpu: bool = False
    slurm: str = ""  # SLURM's number of the job
    began: float | None = None  # on its node
    ended: float | None = None
    succeeded: bool = False
    reason: str = ""  # of a failure

    @property
    def failed(self) -> bool:
        """Whether it ended without a result."""
        return self.ended is not None and not self.succeeded

    @property
    def seconds(self) -> float:
        """Seconds that it ran; on a cluster, from its beginning on the node, and 0 if that is unknown."""
        began = self.began if self.slurm else self.started
        return max(0.0, (self.ended or time.time()) - began) if began is not None else 0.0


@dataclass(kw_only=True)
class Attempts:
    """Attempts of one job since its previous result."""

    rule: str = ""
    all: list[Attempt] = field(default_factory=list)

    @property
    def failures(self) -> list[Attempt]:
        """Attempts that ended without a result."""
        return [attempt for attempt in self.all if attempt.failed]

    @property
    def running(self) -> bool:
        """Whether the last attempt may still run."""
        return bool(self.all) and self.all[-1].ended is None

    @property
    def slurm(self) -> str:
        """The latest SLURM job number."""
        return next((attempt.slurm for attempt in reversed(self.all) if attempt.slurm), "")

    def add(self, attempt: Attempt) -> None:
        """Add an attempt; one that follows a result begins a new list."""
        if self.all and self.all[-1].succeeded:
            self.all.clear()
        self.all.append(attempt)


def total_seconds(record: Mapping[str, Any], attempts: Attempts | None) -> float:
    """Return the seconds of all attempts of a job; `record` is that of its result, empty if there is none.

    A record has the seconds of the attempt that wrote it, and that of a training those of all the steps that count:
    the larger sum is nearer, since the journal may be lost, and the steps after the last state that was saved are.
    """
    others = [attempt.seconds for attempt in attempts.all if not attempt.succeeded] if attempts else []
    own = float(record.get("seconds") or 0)
    return max(own + sum(others), float(record.get("training_seconds") or 0))


def read_attempts(path: Path) -> dict[str, Attempts]:
    """Return the attempts by each of a job's output files, and by its log; empty without a journal."""
    attempts: dict[str, Attempts] = {}
    runs: dict[_RunKey, _Run] = {}
    latest: dict[_RunKey, float] = {}
    for line in _read_lines(path):
        if isinstance(line, _Run):  # of a process with the number of an earlier one, which is gone
            _end_open(attempts, line.run, at=latest.get(line.run, 0.0), reason=KILLED)
            runs[line.run] = line
        elif isinstance(line, _Stop):
            _end_open(attempts, line.run, at=line.at, reason=INTERRUPTED)
        elif isinstance(line, _Start):
            started = next((attempts[file] for file in line.files if file in attempts), Attempts())
            started.rule = line.rule
            if started.running:  # the run before is gone: two runs never have the same job at once
                _end(started, at=latest.get(started.all[-1].run or line.run, 0.0), reason=KILLED)
            started.add(Attempt(started=line.at, run=line.run, gpu=line.gpu))
            attempts |= dict.fromkeys(line.files, started)
        elif job := attempts.get(line.file):
            _apply(job.all[-1], line)
        latest[line.run] = line.at
    for key, run in runs.items():
        if not _is_alive(run):
            _end_open(attempts, key, at=latest[key], reason=KILLED)
    return attempts


def _apply(attempt: Attempt, line: _Submission | _Success | _Failure) -> None:
    if isinstance(line, _Submission):
        attempt.slurm = line.slurm
        return
    attempt.ended, attempt.succeeded = line.at, isinstance(line, _Success)
    attempt.reason, attempt.began = (line.reason, line.began) if isinstance(line, _Failure) else ("", None)


def _end_open(attempts: Mapping[str, Attempts], run: _RunKey, *, at: float, reason: str) -> None:
    """End the attempts that a run left open; after a kill, its last known moment is the end."""
    for job in attempts.values():
        if job.running and job.all[-1].run == run:
            _end(job, at=at, reason=reason)


def _end(job: Attempts, *, at: float, reason: str) -> None:
    job.all[-1].ended, job.all[-1].reason = max(at, job.all[-1].started), reason


def _is_alive(run: _Run) -> bool:
    """Return whether the Snakemake of a run still runs; on another machine that is taken for granted."""
    if run.host != HOST:
        return True
    try:
        os.kill(run.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _read_lines(path: Path) -> Iterator[_Line]:
    """Yield the events of a journal without damaged lines, such as those that a full disk cut."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValidationError):
            yield LINES.validate_json(line)
