"""What SLURM does to jobs, where Snakemake's plugin for it (2.8) would wait for ever or give up at once.

- sbatch is refused for a while: the plugin counts that as a failed attempt of the job. Here it is tried again.
- The account of each job is looked up first, in two questions to the controller, and a job whose account cannot be
  confirmed has failed. Here sbatch decides.
- The controller does not answer, as while it restarts: after five questions the plugin forgets all jobs and waits for
  ever. Here it asks until it is answered; the jobs run on meanwhile.
- A job is preempted or loses its node and is not put back into the queue, or the controller forgot it: the plugin
  takes it to be at work. Here it has failed after a few answers, so that Snakemake's retries take over, and is
  cancelled, lest it come back beside the next attempt.
- A job ends in its user's mistake, as its exit code says: Snakemake would wait for the queue three more times to hear
  the same. Here it has failed for good.
- Snakemake is killed: its jobs run on, and the next Snakemake would start them a second time beside themselves. Here
  it cancels them first. Pre-training saves its state then, and goes on from it.
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
from pathlib import Path
from types import ModuleType
from typing import Any

from workflow_scripts.core.errors import EXIT_USER_ERROR

PLUGIN = "snakemake_executor_plugin_slurm"
WARNING = signal.SIGUSR1  # what the profile's --signal sends before the time is up
ANSWERS_BEFORE_LOST = 3  # a job on its way back into the queue is not lost; three answers are at least two minutes
SECONDS_BETWEEN_QUESTIONS = 10  # while the controller does not answer
FAILED = "FAILED"
GONE = frozenset({"PREEMPTED", "NODE_FAIL"})  # states in which the plugin hopes for the queue, perhaps in vain
#: how the Snakemake within a job tells of its script's exit code, in the job's SLURM log
MISTAKE = re.compile(rf"returned non-zero exit status {EXIT_USER_ERROR}\.$", re.MULTILINE)
PATIENCE = 60  # seconds; longer than a busy controller takes
LOCKS_OF_ONE = 2  # Snakemake notes its inputs and its outputs


def mend() -> None:
    """Put this in the place of the plugin's functions, if the plugin is loaded; leave warnings to the jobs' scripts.

    Snakemake and the shells between SLURM and a script would die from the warning; ignored here, it is ignored in all
    processes they start but in those that ask for it.
    """
    if "SLURM_JOB_ID" in os.environ:
        signal.signal(WARNING, signal.SIG_IGN)
    plugin = sys.modules.get(PLUGIN)
    if plugin is not None and not isinstance(plugin.query_job_status, _Watch):
        _submit_patiently(plugin)
        watch = _Watch(plugin.query_job_status)
        plugin.query_job_status = watch  # type: ignore[attr-defined]
        plugin.Executor.check_active_jobs = _told_to(watch, plugin.Executor.check_active_jobs)
        plugin.Executor.report_job_error = _not_again(plugin.Executor.report_job_error)
        plugin.validate_account = lambda account, logger: account  # type: ignore[attr-defined]  # noqa: ARG005
        plugin.get_min_job_age = _asked_once(plugin.get_min_job_age)  # type: ignore[attr-defined]


def cancel_orphans(folder: Path, *, locks: bool) -> list[str]:
    """Cancel the jobs that a Snakemake which is no more has left in `folder`; return their numbers.

    Nothing is cancelled where another Snakemake may be at work in the folder beside this one: where there are other
    locks than its own, or where it `locks` nothing itself.
    """
    if not locks or len(list((folder / ".snakemake" / "locks").glob("*"))) != LOCKS_OF_ONE:
        return []
    question = ["squeue", "--me", "--noheader", "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED", "--format=%i|%k|%Z"]
    try:
        told = subprocess.run(question, capture_output=True, text=True, check=False, timeout=PATIENCE).stdout
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    jobs = [line.split("|", 2) for line in told.splitlines() if line.count("|") >= 2]
    orphans = [
        number for number, comment, where in jobs if comment.startswith("rule_") and Path(where) == folder.resolve()
    ]
    if orphans:
        _cancel(orphans)
    return orphans


def _cancel(jobs: list[str]) -> None:
    with contextlib.suppress(FileNotFoundError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", *jobs], check=False, timeout=PATIENCE)


def _submit_patiently(plugin: ModuleType) -> None:
    command = plugin.get_submit_command
    through = f"{shlex.quote(sys.executable)} -m workflow_scripts.submit"
    plugin.get_submit_command = lambda *given, **named: f"{through} {command(*given, **named)}"  # type: ignore[attr-defined]


def _asked_once(ask: Callable[[], int | None]) -> Callable[[], int | None]:
    """How long the controller remembers jobs: it does not change, and not to know sends the plugin to sacct."""
    known: list[int] = []

    def answer() -> int | None:
        if not known:
            told = ask()
            known.extend([] if told is None else [told])
        return known[0] if known else None

    return answer


def _not_again(report: Callable[..., None]) -> Callable[..., None]:
    """Leave no attempt to a job that ended in its user's mistake."""

    def report_job_error(executor: Any, job_info: Any, *given: Any, **named: Any) -> None:
        if _is_mistake(job_info):
            executor.logger.warning("The job ended in a mistake that another attempt would repeat: see its log.")
            # not the property, which would give back the resources of the last attempt in place of those of this one
            job_info.job._attempt = job_info.job.restart_times + 1
        report(executor, job_info, *given, **named)

    return report_job_error


def _is_mistake(job_info: Any) -> bool:
    log = (job_info.aux or {}).get("slurm_logfile")
    try:
        return log is not None and MISTAKE.search(Path(log).read_text(errors="replace")) is not None
    except OSError:  # never written, or not yet seen on this side of the file system: another attempt does no harm
        return False


def _told_to(watch: _Watch, check: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def check_active_jobs(executor: Any, active_jobs: list[Any]) -> AsyncIterator[Any]:
        watch.awaited = {str(job.external_jobid) for job in active_jobs}
        async for job in check(executor, active_jobs):
            yield job

    return check_active_jobs


class _Watch:
    """Asks for the states of jobs in the plugin's way, and judges what the answers mean for those that are awaited."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask
        self.awaited: set[str] = set()
        self._gone: Counter[str] = Counter()

    async def __call__(self, command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await self._ask(command, logger)
        while states is None:
            logger.warning("The SLURM controller does not answer: asking again; jobs run on.")
            await asyncio.sleep(SECONDS_BETWEEN_QUESTIONS)
            states, seconds = await self._ask(command, logger)
        for job in self.awaited:
            if job in states and states[job] not in GONE:
                self._gone.pop(job, None)
                continue
            self._gone[job] += 1
            if self._gone[job] >= ANSWERS_BEFORE_LOST:
                logger.warning(f"SLURM job {job} was preempted, lost its node or is forgotten, and does not come back.")
                states[job] = FAILED
                _cancel([job])
        return states, seconds
