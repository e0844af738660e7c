"""Monkey patches of Snakemake's SLURM plugin, which waits for ever or gives up at once in some situations.

- sbatch refuses a job for a while: the plugin counts this as a failed attempt. The patch submits again.
- The plugin first looks up the account of each job, in two queries to the controller, and fails the job if it cannot
  confirm the account. The patch leaves that to sbatch.
- The controller does not answer, for example while it restarts: after five queries the plugin forgets all jobs and
  waits for ever. The patch asks until the controller answers; the jobs continue to run.
- A job is preempted or loses its node without returning to the queue, or the controller forgot it: the plugin
  considers it running. The patch declares it failed after a few answers, so that Snakemake's retries take over, and
  cancels it, so that it cannot return beside the next attempt.
- A job ends with the exit code of a user's mistake: Snakemake would queue it three more times. The patch fails it for
  good.
- Every retry asks for more time and memory, also of a job that was preempted or cancelled. The patch leaves its request
  as it was unless it exceeded a limit.
- Snakemake is killed: its jobs continue, and the next Snakemake would start them a second time. The patch cancels them
  first. Pre-training then saves its state and resumes from it.
- Snakemake is interrupted while it asks for states: its list of jobs is empty meanwhile, so none is cancelled. The
  patch cancels those that were asked for.
- Job arrays lose jobs and results: `job_arrays` replaces them, and states are asked for task by task.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from workflow_scripts.core.errors import EXIT_USER_ERROR, UserError
from workflow_scripts.slurm.job_arrays import JobArrays

PLUGIN = "snakemake_executor_plugin_slurm"
DISTRIBUTION = "snakemake-executor-plugin-slurm"
LOWEST_VERSION = "2.7.1"  # earlier ones lack validate_account
#: functions that the patches replace: internal to the plugin, so that a later version may lack one
FUNCTIONS = (
    *("query_job_status", "get_submit_command", "validate_account", "get_min_job_age"),
    *("set_gres_string", "validate_slurm_extra", "validate_or_get_slurm_job_id"),
)
METHODS = ("check_active_jobs", "report_job_error", "run_jobs", "cancel_jobs")
WARNING = signal.SIGUSR1  # sent before the time limit, by --signal of the profile
# A job that returns to the queue needs a moment; three answers take at least two minutes.
ANSWERS_BEFORE_LOST = 3
SECONDS_BETWEEN_QUESTIONS = 10  # while the controller does not answer
FAILED = "FAILED"
GONE = frozenset({"PREEMPTED", "NODE_FAIL"})  # states after which the plugin waits for a return to the queue
#: line in the SLURM log of a job in which the inner Snakemake reports the exit code of the script
MISTAKE = re.compile(rf"returned non-zero exit status {EXIT_USER_ERROR}\.$", re.MULTILINE)
#: states and words of SLURM after which the next attempt asks for more time and memory
EXCEEDED = re.compile(r"TIMEOUT|DEADLINE|time ?limit|OUT_OF_MEMORY|out of memory|oom.kill|memory limit", re.IGNORECASE)
#: ends of a command that memory may have run out for, unless the job was cancelled or preempted
KILLED = re.compile(r"died with <Signals\.SIGKILL|returned non-zero exit status 137\b")
CANCELLED = "CANCELLED AT"
REFUSED = "SLURM sbatch failed"  # begins the message on a job that never ran
PATIENCE = 60  # seconds: longer than a busy controller needs
LOCKS_OF_ONE = 2  # files of one Snakemake: inputs and outputs


def patch_plugin() -> None:
    """Patch the executor plugin, if it is loaded; within a job, ignore SLURM's warning signal.

    The warning would kill Snakemake and the shells between SLURM and a script. Ignored here, it is ignored by all
    child processes except those that install a handler. Raises `UserError` for a plugin that the patches do not fit.
    """
    if "SLURM_JOB_ID" in os.environ:
        signal.signal(WARNING, signal.SIG_IGN)
    plugin = sys.modules.get(PLUGIN)
    if plugin is not None and not isinstance(plugin.query_job_status, _JobWatch):
        _require_version(plugin, metadata.version(DISTRIBUTION))
        _submit_by_command(plugin)
        watch = _JobWatch(plugin.query_job_status)
        plugin.query_job_status = watch  # type: ignore[attr-defined]
        plugin.Executor.check_active_jobs = _report_active_jobs(watch, plugin.Executor.check_active_jobs)
        plugin.Executor.report_job_error = _count_attempts(plugin.Executor.report_job_error)
        plugin.validate_account = lambda account, logger: account  # type: ignore[attr-defined]  # noqa: ARG005
        plugin.get_min_job_age = _ask_once(plugin.get_min_job_age)  # type: ignore[attr-defined]
        JobArrays(plugin).install()
        plugin.Executor.cancel_jobs = _cancel_awaited_jobs(watch, plugin.Executor.cancel_jobs)


def cancel_orphans(folder: Path, *, locks: bool) -> list[str]:
    """Cancel the jobs that a killed Snakemake left in `folder`; return their numbers.

    Nothing is cancelled if another Snakemake may be running in the folder: if there are other locks than those of this
    one, or if this one does not lock the folder (`locks`).
    """
    if not locks or len(list((folder / ".snakemake" / "locks").glob("*"))) != LOCKS_OF_ONE:
        return []
    question = ["squeue", "--me", "--noheader", "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED", "--format=%i|%k|%Z"]
    try:
        answer = subprocess.run(
            question, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=PATIENCE
        ).stdout
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    jobs = [line.split("|", 2) for line in answer.splitlines() if line.count("|") >= 2]
    orphans = [
        number for number, comment, where in jobs if comment.startswith("rule_") and Path(where) == folder.resolve()
    ]
    if orphans:
        _cancel(orphans)
    return orphans


def remove_empty_folders(logs: Path) -> None:
    """Remove the folders of logs that the plugin leaves empty, since it deletes the logs of jobs that succeed."""
    for folder, _, _ in os.walk(logs, topdown=False):
        with contextlib.suppress(OSError):  # it is not empty
            Path(folder).rmdir()


def _cancel(jobs: list[str]) -> None:
    with contextlib.suppress(FileNotFoundError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", *jobs], check=False, timeout=PATIENCE)


def _require_version(plugin: ModuleType, installed: str) -> None:
    """Raise `UserError` unless the plugin has what the patches replace, and no version before `LOWEST_VERSION`."""
    lacking = [name for name in FUNCTIONS if not hasattr(plugin, name)]
    lacking += [name for name in METHODS if not hasattr(getattr(plugin, "Executor", None), name)]
    if lacking or _numbers(installed) < _numbers(LOWEST_VERSION):
        raise UserError(
            f"{DISTRIBUTION} {installed} is installed, which Prelude does not work with: run "
            f".venv/bin/pip install --constraint constraints.txt {DISTRIBUTION}"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _submit_by_command(plugin: ModuleType) -> None:
    """Prefix the plugin's sbatch command with `workflow_scripts.submit`, which submits again after a refusal."""
    command = plugin.get_submit_command
    through = f"{shlex.quote(sys.executable)} -m workflow_scripts.submit"
    plugin.get_submit_command = lambda *given, **named: f"{through} {command(*given, **named)}"  # type: ignore[attr-defined]


def _ask_once(ask: Callable[[], int | None]) -> Callable[[], int | None]:
    """Ask for MinJobAge until it is known: it does not change, and without it the plugin resorts to sacct."""
    known: list[int] = []

    def answer() -> int | None:
        if not known:
            age = ask()
            known.extend([] if age is None else [age])
        return known[0] if known else None

    return answer


def _count_attempts(report: Callable[..., None]) -> Callable[..., None]:
    """Use up all attempts of a job that ended with a user's mistake; ask for more only after limits were exceeded.

    The number of an attempt decides on its time and memory, so that of a job which was preempted or cancelled stays,
    and its failures are counted here. `_attempt` is set because the property would replace the resources of the attempt
    that just ended, which Snakemake gives back afterwards.
    """
    failures: Counter[int] = Counter()  # by identity: a job is the same object in all its attempts

    def report_job_error(executor: Any, job_info: Any, *given: Any, **named: Any) -> None:
        job, log = job_info.job, _read_log(job_info)
        failures[id(job)] += 1
        if MISTAKE.search(log):
            executor.logger.warning("The job failed with an error that a retry would not fix: see its log.")
            job._attempt = job.restart_times + 1
        elif failures[id(job)] > job.restart_times:
            job._attempt = job.restart_times + 1
        elif not _has_exceeded_limit(f"{given} {named}", log):
            job._attempt -= 1  # Snakemake adds 1 for the next one
        report(executor, job_info, *given, **named)

    return report_job_error


def _has_exceeded_limit(message: str, log: str) -> bool:
    """Return whether a job ended because of its time or memory, by the plugin's message and SLURM's log."""
    if REFUSED in message:  # it may name the limits of a site, and quotes the whole command
        return False
    text = f"{message} {log}"
    return EXCEEDED.search(text) is not None or (CANCELLED not in text and KILLED.search(text) is not None)


def _read_log(job_info: Any) -> str:
    """Return SLURM's log of a job; empty if it is missing, or not yet visible on this node."""
    log = (job_info.aux or {}).get("slurm_logfile")
    try:
        return "" if log is None else Path(log).read_text(errors="replace")
    except OSError:  # another attempt does no harm
        return ""


def _report_active_jobs(
    watch: _JobWatch, check: Callable[..., AsyncIterator[Any]]
) -> Callable[..., AsyncIterator[Any]]:
    """Pass the jobs that Snakemake waits for to the watch, before the plugin checks them."""

    async def check_active_jobs(executor: Any, active_jobs: list[Any]) -> AsyncIterator[Any]:
        watch.awaited = {str(job.external_jobid) for job in active_jobs}
        async for job in check(executor, active_jobs):
            yield job

    return check_active_jobs


def _cancel_awaited_jobs(watch: _JobWatch, cancel: Callable[..., None]) -> Callable[..., None]:
    """Cancel also the jobs whose states were asked for last; some of them may have ended."""

    def cancel_jobs(executor: Any, active_jobs: list[Any]) -> None:
        asked = watch.awaited - {str(job.external_jobid) for job in active_jobs}
        cancel(executor, active_jobs)
        if asked:
            _cancel(sorted(asked))

    return cancel_jobs


class _JobWatch:
    """Query of job states that repeats unanswered questions and declares lost jobs failed."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask
        self.awaited: set[str] = set()
        self._gone: Counter[str] = Counter()

    async def __call__(self, command: str, logger: Any) -> tuple[dict[str, str], float]:
        command = command.replace("JobIdRaw", "JobID")  # of sacct: raw numbers do not tell the tasks of an array
        states, seconds = await self._ask(command, logger)
        while states is None:
            logger.warning("The SLURM controller does not answer: asking again; jobs continue.")
            await asyncio.sleep(SECONDS_BETWEEN_QUESTIONS)
            states, seconds = await self._ask(command, logger)
        # tasks that wait are one line, such as 7_[2-5], under a number that nobody waits for
        pending = {number.partition("_[")[0]: state for number, state in states.items() if "_[" in number}
        for job in self.awaited:
            array = job.partition("_")[0]
            if job not in states and array in pending:
                states[job] = pending[array]
            if job in states and states[job] not in GONE:
                self._gone.pop(job, None)
                continue
            self._gone[job] += 1
            if self._gone[job] >= ANSWERS_BEFORE_LOST:
                logger.warning(f"SLURM job {job} was preempted, lost its node or is unknown: it counts as failed.")
                states[job] = FAILED
                _cancel([job])
        return states, seconds
