"""Jobs that become arrays, without a cluster; the real one is in tests/cluster."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from workflow_scripts.slurm import job_arrays
from workflow_scripts.slurm.job_arrays import JobArrays


class Executor:
    """Executor of a plugin that records its calls."""

    def __init__(self, folder: Path, *, rules: set[str]) -> None:
        self.array_jobs, self.max_array_size = rules, 1000
        self.slurm_logdir, self.run_uuid, self._failed_nodes = folder / "logs", "run", set[str]()
        self.workflow = SimpleNamespace(workdir_init=str(folder), executor_settings=None)
        self.logger = logging.getLogger("test")
        self.started: list[int] = []
        self.alone: list[int] = []
        self.submitted: dict[int, Any] = {}
        self.errors: dict[int, str] = {}
        self.active_jobs: list[Any] = []
        self.cancelled: list[list[str]] = []

    def run_jobs(self, jobs: list[Any]) -> None:
        for job in jobs:
            self.run_job_pre(job)
            self.run_job(job)

    def run_job_pre(self, job: Any) -> None:
        self.started.append(job.jobid)

    def run_job(self, job: Any) -> None:
        self.alone.append(job.jobid)

    def cancel_jobs(self, jobs: list[Any]) -> None:
        self.cancelled.append([job.external_jobid for job in jobs])

    def format_job_exec(self, job: Any) -> str:
        return f"echo job {job.jobid}"

    def get_account_arg(self, job: Any) -> Any:
        yield " -A none"

    def get_partition_arg(self, job: Any) -> str:
        return " -p gpu"

    def report_job_submission(self, info: Any) -> None:
        self.submitted[info.job.jobid] = info
        self.active_jobs.append(info)

    def report_job_error(self, info: Any, msg: str) -> None:
        self.errors[info.job.jobid] = msg


@pytest.fixture
def make_executor(tmp_path, monkeypatch):
    """Return a function that makes an executor, whose submissions are lines of a file `scripts`."""

    def make(rules: set[str], *, answer: str = "echo 17") -> Executor:
        def get_submit_command(job: Any, params: dict[str, Any], **_: Any) -> str:
            if job.memory is None:
                raise ValueError("the plugin refuses it")
            keep = f"printf '%s\\n' '{params['comment_str']}' >> comments; cat > script; {answer}"
            return f"cd {tmp_path}; {keep}; : --mem {job.memory}"

        plugin: Any = ModuleType("plugin")
        plugin.Executor = type("OfThisTest", (Executor,), {})
        plugin.get_submit_command = get_submit_command
        plugin.validate_slurm_extra = lambda job: None
        plugin.set_gres_string = lambda job: ""
        plugin.validate_or_get_slurm_job_id = lambda number, output: number
        JobArrays(plugin).install()
        return plugin.Executor(tmp_path, rules=rules)

    monkeypatch.setattr(job_arrays, "QUIET_SECONDS", 0.1)
    return make


def make_job(number: int, rule: str = "embed", *, memory: int | None = 8000, is_group: bool = False) -> Any:
    return SimpleNamespace(
        jobid=number, rule=SimpleNamespace(name=rule), memory=memory, is_group=lambda: is_group, resources={}
    )


def wait_for(executor: Executor, *, jobs: int) -> None:
    deadline = time.monotonic() + 10
    while len(executor.submitted) + len(executor.alone) + len(executor.errors) < jobs:
        assert time.monotonic() < deadline, (executor.submitted, executor.alone, executor.errors)
        time.sleep(0.01)


def run_task(script: Path, number: int) -> str:
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}
    return subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, check=True).stdout


def test_jobs_that_come_in_parts_are_one_array_whose_tasks_run_their_own_commands(make_executor, tmp_path):
    executor = make_executor({"embed"})
    executor.run_jobs([make_job(1), make_job(2)])
    executor.run_jobs([make_job(3)])
    assert executor.started == [1, 2, 3], "Snakemake's log names them when they are handed over"
    wait_for(executor, jobs=3)
    assert {number: info.external_jobid for number, info in executor.submitted.items()} == {
        1: "17_1",
        2: "17_2",
        3: "17_3",
    }
    assert executor.submitted[2].aux["slurm_logfile"] == tmp_path / "logs/rule_embed/17_2.log"
    assert [run_task(tmp_path / "script", task) for task in (1, 3)] == ["job 1\n", "job 3\n"]
    executor.run_jobs([make_job(4), make_job(5)])
    wait_for(executor, jobs=5)
    comments = (tmp_path / "comments").read_text().split()
    assert comments == ["rule_embed_array_1", "rule_embed_array_2"], "by which `submit` finds a lost answer"


@pytest.mark.parametrize(
    ("rules", "jobs", "alone"),
    [
        ({"embed"}, [make_job(1, "audit"), make_job(2), make_job(3)], [1]),
        ({"all"}, [make_job(1, "audit"), make_job(2), make_job(3)], [1]),  # no array of one
        ({"all"}, [make_job(1, is_group=True), make_job(2), make_job(3)], [1]),
        ({"all"}, [make_job(1, memory=None), make_job(2), make_job(3)], [1]),  # the plugin reports the mistake
        ({"all"}, [make_job(1, memory=16000), make_job(2), make_job(3)], [1]),  # a second attempt
        (set(), [make_job(1), make_job(2)], [1, 2]),
    ],
)
def test_only_jobs_with_the_same_request_are_an_array(make_executor, rules, jobs, alone):
    executor = make_executor(rules)
    executor.run_jobs(jobs)
    wait_for(executor, jobs=len(jobs))
    assert executor.alone == alone
    assert sorted(executor.started) == [job.jobid for job in jobs], "each once"
    assert sorted(executor.submitted) == [job.jobid for job in jobs if job.jobid not in alone]


@pytest.mark.parametrize("limit", ["tasks", "bytes"])
def test_an_array_has_no_more_tasks_than_the_site_and_its_script_allow(make_executor, monkeypatch, limit):
    executor = make_executor({"all"})
    if limit == "tasks":
        executor.max_array_size = 2
    else:
        monkeypatch.setattr(job_arrays, "MAX_SCRIPT_BYTES", 2 * len("echo job 1"))
    executor.run_jobs([make_job(number) for number in range(1, 6)])
    wait_for(executor, jobs=5)
    assert [info.external_jobid for info in executor.submitted.values()] == ["17_1", "17_2"] * 2
    assert executor.alone == [5]


def test_each_job_of_a_refused_array_has_failed(make_executor):
    executor = make_executor({"all"}, answer="echo 'error: invalid partition' >&2; exit 1")
    executor.run_jobs([make_job(1), make_job(2)])
    wait_for(executor, jobs=2)
    assert set(executor.errors) == {1, 2}
    assert "SLURM sbatch failed. The error message was 'error: invalid partition'" in executor.errors[1]


def test_jobs_that_still_wait_are_not_submitted_after_an_interruption(make_executor):
    executor = make_executor({"all"})
    executor.run_jobs([make_job(1), make_job(2)])
    executor.cancel_jobs([])
    time.sleep(0.3)
    assert (executor.submitted, executor.cancelled) == ({}, [[]])


def test_an_array_on_its_way_to_slurm_is_cancelled_by_an_interruption(make_executor, tmp_path):
    executor = make_executor({"all"}, answer="sleep 0.5; echo 17")
    executor.run_jobs([make_job(1), make_job(2)])
    deadline = time.monotonic() + 30
    while not (tmp_path / "script").exists():
        assert time.monotonic() < deadline, "no submission has begun"
        time.sleep(0.01)
    executor.cancel_jobs([])
    assert executor.cancelled == [["17_1", "17_2"]]
