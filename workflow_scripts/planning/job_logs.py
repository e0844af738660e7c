"""Logs of jobs: how a job ended by its own last lines, or by what Snakemake and SLURM state about it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.core.errors import NOTE, UserError
from workflow_scripts.core.files import append_plain

GAVE_UP = "prelude: "  # begins the line of a `UserError`; libraries may still write after it
CRASHED = ("Traceback (most recent call last)", "usage: ")  # begin the end of a log; its last line has the reason
MAX_CHARACTERS = 240  # of a line: more is a dump, not a reason
MAX_BYTES = 64 * 1024  # that are read from the end of a log

AGAIN = "run again to go on"
MORE_MEMORY = "lower `batch`, or raise mem_mb in the profile"

#: words of SLURM, in its log of a job or as the job's state, with meaning and remedy; the first that fits counts
SLURM_WORDS = (
    (re.compile(r"out.of.memory|\boom\b|oom.kill|memory limit", re.IGNORECASE), "ran out of memory", MORE_MEMORY),
    (re.compile(r"time ?limit|TIMEOUT|DEADLINE", re.IGNORECASE), "ran out of time", "raise runtime in the profile"),
    (re.compile(r"preempt", re.IGNORECASE), "preempted", AGAIN),
    (re.compile(r"node.fail", re.IGNORECASE), "lost its node", AGAIN),
    (re.compile(r"cancelled", re.IGNORECASE), "cancelled", AGAIN),
)
SLURM_LINE = re.compile(r"^(?:slurmstepd|srun)[^:\s]*: error: (.*)$", re.MULTILINE)
#: words of sbatch's refusals, and what to correct in the profile; the first that fits counts
REFUSALS = (
    (re.compile(r"account/partition", re.IGNORECASE), "slurm_account or slurm_partition"),
    (re.compile(r"partition", re.IGNORECASE), "slurm_partition"),
    (re.compile(r"time ?limit", re.IGNORECASE), "runtime"),
    (re.compile(r"qos", re.IGNORECASE), "qos"),
    (re.compile(r"account", re.IGNORECASE), "slurm_account"),
    (re.compile(r"reservation", re.IGNORECASE), "slurm-reservation"),
    (re.compile(r"feature|constraint", re.IGNORECASE), "constraint"),
    (re.compile(r"gres|generic resource", re.IGNORECASE), "gres"),
    (re.compile(r"memory|cpu|processor|node", re.IGNORECASE), "mem_mb, threads or gres, which no node has"),
)
SLURM_STATE = re.compile(r"SLURM status is: '(\w+)'")
REFUSED = re.compile(r"SLURM sbatch failed\. The error message was '(.*?)'\.?\s*(?:sbatch call:|$)", re.DOTALL)
NOT_SUBMITTED = re.compile(r"(?:submission failed|array sbatch submission)", re.IGNORECASE)
DEATH = re.compile(r"died with <Signals\.(SIG\w+): \d+>|returned non-zero exit status (\d+)")
SIGNAL_CODE = 128  # a shell's exit code of a program that a signal ended is this and the signal's number
INTERRUPTIONS = (signal.SIGINT.name, signal.SIGTERM.name)  # Ctrl-C, and the request to end
STAMP = re.compile(r"^\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$", re.MULTILINE)
UNPRINTABLE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f]")  # escape sequences first, then what is left


class LogEnd(NamedTuple):
    """End of a log: the most informative line, and whether it is the reason of a failure."""

    is_reason: bool
    line: str


def strip_controls(text: str) -> str:
    """Return text as one line without control characters, which could rewrite a terminal."""
    return " ".join(UNPRINTABLE.sub(" ", text).split())


def read_version(log: Path) -> tuple[int, ...]:
    """Return what differs once a log is written again; empty without a log.

    It is opened, since a shared file system may state what it knew of a file before.
    """
    try:
        with log.open("rb") as file:
            status = os.fstat(file.fileno())
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def read_end(log: Path, *, about: str = "") -> LogEnd | None:
    """Return the end of a job's log; None if it is missing or empty.

    A reason or a note that begins with `about`, a part of the job, is the reason of this part.
    """
    lines = [line for text in _read_tail(log).splitlines() if (line := strip_controls(text))]
    if not lines:
        return None
    messages = [line.removeprefix(GAVE_UP) for line in lines if line.startswith(GAVE_UP)]
    gave_up = [line for line in messages if not line.startswith(NOTE)]
    own = [line for line in messages if about and line.removeprefix(NOTE).startswith(f"{about}: ")]
    if own:
        return LogEnd(True, own[-1].removeprefix(NOTE).removeprefix(f"{about}: ")[:MAX_CHARACTERS])
    is_reason = bool(gave_up) or any(line.startswith(CRASHED) for line in lines)
    return LogEnd(is_reason, (gave_up or lines)[-1][:MAX_CHARACTERS])


def explain_end(log: Path, *, message: str, error: str, slurm_log: Path | None, earlier: tuple[int, ...] = ()) -> str:
    """Return why a job ended, and add that to its log if the job could not write it itself.

    `message` is that of SLURM's plugin, `error` the exception of Snakemake's shell command, both empty if there is
    none. A job that was killed leaves a log without a reason, and one that SLURM refused leaves none, or that of an
    attempt before: `earlier` is the version of the log when the job was started.
    """
    end = read_end(log)
    is_own = end is not None and read_version(log) != earlier
    refusal = _explain_refusal(message)
    if end and end.is_reason and is_own and not refusal:
        return end.line
    reason = refusal or _explain_death(message, error, _read_tail(slurm_log))
    with contextlib.suppress(OSError, UserError):  # the disk may be full: the reason is in the journal as well
        log.parent.mkdir(parents=True, exist_ok=True)
        append_plain(log, f"\n{GAVE_UP}{reason}\n" if end else f"{GAVE_UP}{reason}\n")  # its last line may be cut
    return reason


def read_start(slurm_log: Path | None) -> float | None:
    """Return when a job began on its node, in seconds since 1970, from SLURM's log of it; None if it did not."""
    stamp = STAMP.search(_read_tail(slurm_log, from_start=True))
    return time.mktime(time.strptime(stamp[1])) if stamp else None


def _explain_refusal(message: str) -> str:
    if match := REFUSED.search(message):
        words = strip_controls(match[1])[:MAX_CHARACTERS]
        wrong = next((name for pattern, name in REFUSALS if pattern.search(words)), "what these words name")
        return f"SLURM refused it ({words}): correct {wrong} in the profile"
    return strip_controls(message)[:MAX_CHARACTERS] if NOT_SUBMITTED.search(message) else ""


def _explain_death(message: str, error: str, slurm_text: str) -> str:
    """Return why a job ended that says nothing itself: the words of SLURM come before the exit code of its command."""
    stated = [strip_controls(line)[:MAX_CHARACTERS] for line in SLURM_LINE.findall(slurm_text)]
    stated += SLURM_STATE.findall(message)
    for pattern, meaning, remedy in SLURM_WORDS:
        if lines := [line for line in stated if pattern.search(line)]:
            return f"{meaning} (SLURM: {lines[0]}): {remedy}"
    if deaths := DEATH.findall(error + slurm_text):
        return _explain_exit(*deaths[-1])
    if stated:
        return f"ended by SLURM ({stated[0]})"
    return strip_controls(message or error)[:MAX_CHARACTERS] or "ended without a message"


def _explain_exit(name: str, code: str) -> str:
    """Return why a command ended that a signal killed, or that ended with an exit code."""
    number = int(code or 0) - SIGNAL_CODE
    if number in set(signal.Signals):
        name = signal.Signals(number).name
    if name == signal.SIGKILL.name:
        return f"killed by {name}, probably because memory ran out: lower `batch`, or free memory, and run again"
    if name in INTERRUPTIONS:
        return f"interrupted by {name}: {AGAIN}"
    return f"killed by {name}" if name else f"ended with exit code {code} and no message"


def _read_tail(log: Path | None, *, from_start: bool = False) -> str:
    """Return the last bytes of a log, or the first; empty if it cannot be read."""
    try:
        if log is None or not log.is_file():
            return ""
        with log.open("rb") as file:
            file.seek(0 if from_start else max(0, log.stat().st_size - MAX_BYTES))
            return file.read(MAX_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
