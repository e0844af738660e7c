"""Job arrays of Snakemake's SLURM plugin, for the rules that its option `slurm-array-jobs` names.

The plugin's own arrays (2.8.0) cannot be used:

- Snakemake hands over jobs in parts, because of its limits of jobs and of jobs per second. The plugin drops a part that
  is smaller than the rest: these jobs never run, and Snakemake waits for them for ever (its issue 473).
- Each task runs inside the Snakemake of the array's first job. It therefore waits for that job's files, fails if they
  do not come within `latency-wait`, and removes them if it fails itself.
- Logs of tasks are looked for where they are not, so nothing is learnt from them; and jobs of different attempts get
  the memory and time of the first.

Here jobs wait until Snakemake has handed over all that are ready. Those that request the same are one array, whose
tasks each run the command that their job would run alone.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

ALL = "all"  # in place of the names of rules
QUIET_SECONDS = 2.0  # without a further job, after which an array is complete: the next part comes after one second
LONGEST_WAIT = 60.0  # seconds that the first job waits for others, which may become ready one by one
MAX_SCRIPT_BYTES = 2_000_000  # controllers take 4 MB, unless a site sets less; a task's command has some 5 kB


@dataclass(kw_only=True)
class _Batch:
    """Jobs that will be one array, and when the first of them came."""

    since: float = field(default_factory=time.monotonic)
    jobs: list[Any] = field(default_factory=list)
    timer: threading.Timer | None = None


class JobArrays:
    """Jobs on their way into arrays, by what they request."""

    def __init__(self, plugin: ModuleType) -> None:
        """Take the plugin, before its executor's methods are replaced by those of this object."""
        self._plugin = plugin
        self._run_jobs, self._cancel_jobs = plugin.Executor.run_jobs, plugin.Executor.cancel_jobs
        self._rules: set[str] = set()
        self._batches: dict[str, _Batch] = {}
        self._lock = threading.Lock()
        self._submission = threading.Lock()  # held from taking a batch to reporting its jobs
        self._numbers = itertools.count(1)

    def install(self) -> None:
        """Replace the methods of the plugin's executor."""

        def run_jobs(executor: Any, jobs: Sequence[Any]) -> None:
            self.run_jobs(executor, jobs)

        def cancel_jobs(executor: Any, jobs: Sequence[Any]) -> None:
            self.cancel_jobs(executor, jobs)

        self._plugin.Executor.run_jobs, self._plugin.Executor.cancel_jobs = run_jobs, cancel_jobs

    def run_jobs(self, executor: Any, jobs: Sequence[Any]) -> None:
        """Keep the jobs of the chosen rules for arrays; submit the others."""
        self._rules |= executor.array_jobs
        executor.array_jobs = set()
        alone = []
        for job in jobs:
            request = self._describe_request(executor, job) if self._is_chosen(job) else ""
            if request:
                executor.run_job_pre(job)
                self._keep(executor, job, request)
            else:
                alone.append(job)
        if alone:
            self._run_jobs(executor, alone)

    def cancel_jobs(self, executor: Any, jobs: Sequence[Any]) -> None:
        """Forget the jobs that were not yet submitted, and cancel the others, also those on their way to SLURM."""
        with self._lock:
            self._batches.clear()
        listed = {job.external_jobid for job in jobs}
        with self._submission:
            late = [job for job in list(executor.active_jobs) if job.external_jobid not in listed]
        self._cancel_jobs(executor, [*jobs, *late])

    def _is_chosen(self, job: Any) -> bool:
        return not job.is_group() and bool(self._rules & {ALL, job.rule.name})

    def _describe_request(self, executor: Any, job: Any) -> str:
        """Return the command of sbatch without the job's name and log; empty if the plugin refuses it.

        Such a job is submitted alone, where the plugin reports the mistake.
        """
        try:
            return f"{job.rule.name} {self._make_command(executor, job, log=Path(), comment='')}"
        except Exception:
            return ""

    def _keep(self, executor: Any, job: Any, request: str) -> None:
        with self._lock:
            batch = self._batches.setdefault(request, _Batch())
            batch.jobs.append(job)
            if batch.timer is not None:
                batch.timer.cancel()
            seconds = min(QUIET_SECONDS, max(0.0, batch.since + LONGEST_WAIT - time.monotonic()))
            batch.timer = threading.Timer(seconds, self._submit_batch, (executor, request))
            batch.timer.daemon = True  # does not keep a Snakemake alive that has ended
            batch.timer.start()

    def _submit_batch(self, executor: Any, request: str) -> None:
        with self._submission:
            with self._lock:
                batch = self._batches.pop(request, None)
            for jobs in _split(executor, batch.jobs) if batch else ():
                if len(jobs) == 1:
                    executor.run_job(*jobs)
                else:
                    self._submit_array(executor, jobs)

    def _submit_array(self, executor: Any, jobs: Sequence[Any]) -> None:
        """Submit jobs as one array and report its number, or an error, of each."""
        name = f"rule_{jobs[0].rule.name}"
        folder = Path(executor.slurm_logdir) / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # the number makes the comment unique: by it `submit` finds an array whose number it did not get to know
            comment = f"{name}_array_{next(self._numbers)}"
            command = self._make_command(executor, jobs[0], log=folder / "%A_%a.log", comment=comment)
            command += f" --array=1-{len(jobs)}"
            script = _write_script(executor.format_job_exec(job) for job in jobs)
            done = subprocess.run(command, shell=True, input=script, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(
                    f"SLURM sbatch failed. The error message was '{done.stderr.strip()}'.\n    sbatch call:\n{command}"
                )
            array = self._plugin.validate_or_get_slurm_job_id(done.stdout.strip().split(";")[0], done.stdout)
        except Exception as error:
            for job in jobs:
                executor.report_job_error(SubmittedJobInfo(job), msg=str(error))
            return
        numbers = ",".join(str(job.jobid) for job in jobs)
        executor.logger.info(
            f"Submitted array job with Snakemake IDs {numbers} and SLURM job ID {array}. "
            f"The individual task IDs are 1-{len(jobs)}."
        )
        for task, job in enumerate(jobs, start=1):
            aux = {"slurm_logfile": folder / f"{array}_{task}.log"}
            executor.report_job_submission(SubmittedJobInfo(job, external_jobid=f"{array}_{task}", aux=aux))

    def _make_command(self, executor: Any, job: Any, *, log: Path, comment: str) -> str:
        self._plugin.validate_slurm_extra(job)
        params = {
            "run_uuid": executor.run_uuid,
            "slurm_logfile": log,
            "comment_str": comment,
            "account": next(executor.get_account_arg(job)),
            "partition": executor.get_partition_arg(job),
            "workdir": executor.workflow.workdir_init,
        }
        settings = executor.workflow.executor_settings
        command = self._plugin.get_submit_command(job, params, settings=settings, failed_nodes=executor._failed_nodes)
        return str(command + self._plugin.set_gres_string(job))


def _split(executor: Any, jobs: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield parts of a batch that an array, and its script, have room for."""
    part: list[Any] = []
    room = MAX_SCRIPT_BYTES
    for job in jobs:
        length = len(executor.format_job_exec(job))
        if part and (len(part) >= executor.max_array_size or length > room):
            yield part
            part, room = [], MAX_SCRIPT_BYTES
        part.append(job)
        room -= length
    yield part


def _write_script(commands: Iterable[str]) -> str:
    """Return the script of an array whose task N runs command N."""
    tasks = (f"{task})\n{command}\n;;" for task, command in enumerate(commands, start=1))
    return "\n".join(["#!/bin/sh", "case $SLURM_ARRAY_TASK_ID in", *tasks, "esac", ""])
