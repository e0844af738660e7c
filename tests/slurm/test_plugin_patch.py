"""Protection of a workflow from its cluster, without a cluster; the real one is in tests/cluster."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from tests.programs import FakePrograms
from workflow_scripts.core.errors import UserError
from workflow_scripts.slurm import plugin_patch

LOGGER = logging.getLogger("test")


class Plugin(ModuleType):
    """A plugin whose controller gives these answers, one after the other."""

    def __init__(plugin, *answers: dict[str, str] | None) -> None:  # noqa: N805 - self is its executor's
        super().__init__(plugin_patch.PLUGIN)
        left = list(answers)
        plugin.asked_for_age = 0
        plugin.questions: list[str] = []
        plugin.cancelled: list[str] = []
        plugin.reported: list[tuple[bool, str]] = []  # whether there is another attempt, as Snakemake reckons

        async def query_job_status(command: str, logger: logging.Logger) -> tuple[Any, Any]:
            plugin.questions.append(command)
            answer = left.pop(0)
            return answer, None if answer is None else 0.1

        def get_min_job_age() -> int | None:
            plugin.asked_for_age += 1
            return None if plugin.asked_for_age == 1 else 300

        class Executor:
            async def check_active_jobs(self, active_jobs: list[Any]) -> AsyncIterator[Any]:
                states, _ = await plugin.query_job_status("squeue --name run", LOGGER)
                for job in active_jobs:
                    job.state = states.get(job.external_jobid)
                    yield job

            active_jobs: ClassVar[list[Any]] = []  # as Snakemake has it while it asks for states

            def run_jobs(self, jobs: list[Any]) -> None:
                """Stand for the method that the patch replaces."""

            def cancel_jobs(self, jobs: list[Any]) -> None:
                plugin.cancelled += [job.external_jobid for job in jobs]

            def report_job_error(self, job_info: Any, msg: str = "") -> None:
                plugin.reported.append((job_info.job.restart_times > job_info.job._attempt - 1, msg))

        plugin.query_job_status, plugin.get_min_job_age, plugin.Executor = query_job_status, get_min_job_age, Executor
        plugin.get_submit_command = lambda job, *, name: f"sbatch --job-name {name} {job}"
        plugin.validate_account = lambda account, logger: account
        plugin.set_gres_string = plugin.validate_slurm_extra = plugin.validate_or_get_slurm_job_id = str


@pytest.fixture
def patched_plugin(monkeypatch):
    def make(*answers: dict[str, str] | None) -> Plugin:
        plugin = Plugin(*answers)
        monkeypatch.setitem(plugin_patch.sys.modules, plugin_patch.PLUGIN, plugin)
        monkeypatch.setattr(plugin_patch, "SECONDS_BETWEEN_QUESTIONS", 0)
        monkeypatch.delenv("SLURM_JOB_ID", raising=False)
        plugin_patch.patch_plugin()
        plugin_patch.patch_plugin()  # a Snakefile may be read twice
        return plugin

    return make


def seen(plugin: Plugin, *numbers: str) -> list[str | None]:
    """States of jobs as the plugin sees them in one round."""
    jobs = [SimpleNamespace(external_jobid=number) for number in numbers]

    async def one_round() -> list[Any]:
        return [job async for job in plugin.Executor().check_active_jobs(jobs)]

    return [job.state for job in asyncio.run(one_round())]


def test_a_controller_is_queried_until_it_answers(patched_plugin):
    assert seen(patched_plugin(None, None, {"1": "RUNNING"}), "1") == ["RUNNING"]


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", None])
def test_a_job_that_does_not_come_back_has_failed_and_is_cancelled(patched_plugin, state, tmp_path, monkeypatch):
    programs = FakePrograms(tmp_path / "programs", monkeypatch)
    programs.answers("scancel", (0, "", ""))
    answer = {} if state is None else {"1": state}
    plugin = patched_plugin(*[dict(answer) for _ in range(3)])
    assert [seen(plugin, "1") for _ in range(3)] == [[state], [state], [plugin_patch.FAILED]]
    assert programs.calls("scancel") == [["1"]]


def test_jobs_whose_states_are_asked_for_are_cancelled_by_an_interruption(patched_plugin, tmp_path, monkeypatch):
    programs = FakePrograms(tmp_path / "programs", monkeypatch)
    programs.answers("scancel", (0, "", ""))
    plugin = patched_plugin({"1": "RUNNING", "2": "RUNNING"})
    seen(plugin, "1", "2")
    plugin.Executor().cancel_jobs([SimpleNamespace(external_jobid="1")])
    assert plugin.cancelled == ["1"]
    assert programs.calls("scancel") == [["2"]]


def test_a_job_on_its_way_back_into_the_queue_is_not_lost(patched_plugin):
    gone, back = {"1": "PREEMPTED"}, {"1": "PENDING"}
    plugin = patched_plugin(*map(dict, [gone, gone, back, gone, gone, back]))
    assert plugin_patch.FAILED not in [seen(plugin, "1")[0] for _ in range(6)]


def test_tasks_of_an_array_that_wait_are_not_lost(patched_plugin):
    """They are one line: the watch would count them as lost and cancel them."""
    plugin = patched_plugin(*[{"7_[2-3,9%5]": "PENDING", "7_1": "RUNNING"} for _ in range(4)])
    assert [seen(plugin, "7_1", "7_9") for _ in range(4)] == [["RUNNING", "PENDING"]] * 4


def test_sacct_is_asked_for_the_numbers_of_tasks(patched_plugin):
    plugin = patched_plugin({"7_2": "FAILED"})
    asyncio.run(plugin.query_job_status("sacct -X --format=JobIdRaw,State --name run", LOGGER))
    assert plugin.questions == ["sacct -X --format=JobID,State --name run"]


def test_jobs_that_nobody_waits_for_are_left_alone(patched_plugin):
    plugin = patched_plugin(*[{"1": "PREEMPTED", "2": "RUNNING"} for _ in range(4)])
    assert [seen(plugin, "2") for _ in range(4)] == [["RUNNING"]] * 4


def test_jobs_are_submitted_through_our_command_once(patched_plugin):
    command = patched_plugin().get_submit_command("job", name="run")
    assert command.count("workflow_scripts.submit") == 1
    assert command.endswith("workflow_scripts.submit sbatch --job-name run job")


def test_the_age_of_jobs_is_queried_until_known_and_then_no_more(patched_plugin):
    plugin = patched_plugin()
    assert [plugin.get_min_job_age() for _ in range(4)] == [None, 300, 300, 300]
    assert plugin.asked_for_age == 2


@pytest.mark.parametrize(
    ("log", "again"),
    [
        ("Command 'set -euo pipefail; x' returned non-zero exit status 2.\n[Sat Nov 21 08:10:53 2026]\n", False),
        ("Command 'set -euo pipefail; x' returned non-zero exit status 1.\n", True),
        ("Command 'set -euo pipefail; x' returned non-zero exit status 75.\n", True),
        ("Command 'echo returned non-zero exit status 2.' died with <Signals.SIGKILL: 9>.\n", True),
        ("", True),
        (None, True),
    ],
)
def test_a_users_mistake_is_made_once(patched_plugin, tmp_path, log, again):
    plugin, path = patched_plugin(), tmp_path / "17.log"
    if log is not None:
        path.write_text(log)
    executor = plugin.Executor()
    executor.logger = LOGGER
    job = SimpleNamespace(restart_times=3, _attempt=1)
    executor.report_job_error(SimpleNamespace(job=job, aux={"slurm_logfile": path}), msg="failed")
    executor.report_job_error(SimpleNamespace(job=SimpleNamespace(restart_times=3, _attempt=1), aux={}), msg="early")
    assert plugin.reported == [(again, "failed"), (True, "early")]


@pytest.mark.parametrize(
    ("message", "log", "more"),
    [
        ("SLURM status is: 'TIMEOUT'.", "", True),
        ("SLURM status is: 'OUT_OF_MEMORY'.", "", True),
        ("SLURM status is: 'FAILED'.", "slurmstepd: error: Exceeded job memory limit", True),
        ("SLURM status is: 'CANCELLED'.", "slurmstepd: error: *** CANCELLED AT 08:10 DUE TO TIME LIMIT ***", True),
        ("SLURM status is: 'FAILED'.", "Command 'x' died with <Signals.SIGKILL: 9>.", True),
        ("SLURM status is: 'CANCELLED'.", "slurmstepd: error: *** CANCELLED AT 08:10 ***", False),
        ("SLURM status is: 'FAILED'.", "slurmstepd: error: *** CANCELLED AT 08:10 DUE TO PREEMPTION ***", False),
        ("SLURM status is: 'CANCELLED'.", "*** JOB 7 CANCELLED AT 08:10 ***\ndied with <Signals.SIGKILL: 9>.", False),
        ("SLURM sbatch failed. The error message was 'Requested time limit is invalid'.", "", False),
        ("SLURM sbatch failed. The error message was 'policy (user's size and/or time limits)'.", "", False),
        ("SLURM status is: 'NODE_FAIL'.", "", False),
        ("SLURM status is: 'FAILED'.", "Command 'x' returned non-zero exit status 1.", False),
    ],
)
def test_only_a_job_that_exceeded_a_limit_asks_for_more_and_all_end_after_their_retries(
    patched_plugin, tmp_path, message, log, more
):
    plugin, path = patched_plugin(), tmp_path / "17.log"
    path.write_text(log)
    executor, job, attempts = plugin.Executor(), SimpleNamespace(restart_times=3, _attempt=1), []
    while not plugin.reported or plugin.reported[-1][0]:
        attempts.append(job._attempt)
        executor.report_job_error(SimpleNamespace(job=job, aux={"slurm_logfile": path}), msg=message)
        job._attempt += 1  # as Snakemake does
    assert attempts == ([1, 2, 3, 4] if more else [1, 1, 1, 1])


VERSIONS = [("2.7.1", True), ("2.8.0", True), ("2.8", True), ("2.10.0", True), ("2.7.0", False), ("1.9.2", False)]


@pytest.mark.parametrize(("installed", "fits"), VERSIONS)
def test_an_older_version_of_the_plugin_is_refused(monkeypatch, installed, fits):
    plugin = Plugin()
    monkeypatch.setitem(plugin_patch.sys.modules, plugin_patch.PLUGIN, plugin)
    monkeypatch.setattr(plugin_patch.metadata, "version", lambda _: installed)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if fits:
        plugin_patch.patch_plugin()
    else:
        with pytest.raises(
            UserError, match=rf"{re.escape(installed)} is installed, .* not work with: run .venv/bin/pip install"
        ):
            plugin_patch.patch_plugin()


def test_a_version_that_lacks_a_patched_function_is_refused(monkeypatch):
    plugin = Plugin()
    del plugin.validate_account
    monkeypatch.setitem(plugin_patch.sys.modules, plugin_patch.PLUGIN, plugin)
    monkeypatch.setattr(plugin_patch.metadata, "version", lambda _: "2.9.0")
    with pytest.raises(UserError, match=r"2\.9\.0 is installed"):
        plugin_patch.patch_plugin()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which one Snakemake is at work, as its locks tell."""
    locks = tmp_path / "workflow" / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    for name in ("0.input.lock", "0.output.lock"):
        (locks / name).touch()
    return tmp_path / "workflow"


def test_only_jobs_of_this_folder_are_orphans(folder, tmp_path, monkeypatch):
    programs = FakePrograms(tmp_path / "programs", monkeypatch)
    rows = [f"1|rule_work_wildcards_0|{folder}", f"2|rule_work|{tmp_path}", f"3|by hand|{folder}"]
    programs.answers("squeue", (0, "\n".join(rows), ""))
    programs.answers("scancel", (0, "", ""))
    assert plugin_patch.cancel_orphans(folder, locks=True) == ["1"]
    assert programs.calls("scancel") == [["1"]]


def test_beside_another_snakemake_nothing_is_cancelled(folder, tmp_path, monkeypatch):
    programs = FakePrograms(tmp_path / "programs", monkeypatch)
    programs.answers("squeue", (0, f"1|rule_work|{folder}", ""))
    programs.answers("scancel", (0, "", ""))
    for name in ("1.input.lock", "1.output.lock"):
        (folder / ".snakemake" / "locks" / name).touch()
    assert plugin_patch.cancel_orphans(folder, locks=True) == []
    assert programs.calls("scancel") == []


def test_a_snakemake_that_locks_nothing_cancels_nothing(folder, tmp_path, monkeypatch):
    """The locks are then those of another, whose jobs are no orphans."""
    programs = FakePrograms(tmp_path / "programs", monkeypatch)
    programs.answers("squeue", (0, f"1|rule_work|{folder}", ""))
    programs.answers("scancel", (0, "", ""))
    assert plugin_patch.cancel_orphans(folder, locks=False) == []
    assert programs.calls("scancel") == []


def test_without_slurm_there_are_none(folder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert plugin_patch.cancel_orphans(folder, locks=True) == []


def test_folders_of_logs_are_removed_if_they_are_empty(tmp_path):
    for name in ("slurm/work/1", "slurm/work/2", "slurm/add"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "slurm/work/2/7.log").write_text("failed")
    plugin_patch.remove_empty_folders(tmp_path / "slurm")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *("slurm", "slurm/work", "slurm/work/2", "slurm/work/2/7.log")
    ]
    plugin_patch.remove_empty_folders(tmp_path / "none")
