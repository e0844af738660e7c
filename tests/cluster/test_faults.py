"""Faults of a cluster, each made by the real scheduler: the workflow ends with the result of an undisturbed one."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.workflow import PATIENCE, Mock

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

#: what happens to job 0, 1, ... of one workflow: cancelled by scancel, put back into the queue by the scheduler, ended
#: by itself, killed, killed with a half-written output and the Snakemake around it, killed for its memory
STRUCK = ("untouched", "cancelled", "put back", "fails", "dies", "half", "hungry")


def expected(jobs: int) -> str:
    """The final table of an undisturbed workflow."""
    results = [hashlib.sha256(f"{number}\n".encode()).hexdigest()[:16] for number in range(jobs)]
    return "".join(f"{number} {result}\n" for number, result in enumerate(results))


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Callable[..., Mock]]:
    """Makes workflows, and clears up after those that did not end."""
    made: list[Mock] = []

    def make(**given: object) -> Mock:
        made.append(Mock(tmp_path / f"mock{len(made)}", **{"jobs": 1, **given}))
        return made[-1]

    yield make
    for workflow in made:
        clear_up(workflow)


def clear_up(workflow: Mock) -> None:
    """End all of a workflow; `TimeoutError` where something is left of it."""
    if workflow.process is not None and workflow.process.poll() is None:
        workflow.process.kill()
        workflow.process.wait()
    numbers = [job.number for job in workflow.jobs]
    if numbers:
        subprocess.run(["scancel", *numbers], check=False)
    slurm.wait(lambda: not workflow.processes, f"processes are left in {workflow.folder}")


def held(workflow: Mock) -> str:
    """Start a workflow whose job 0 waits in its script; return SLURM's number of it."""
    workflow.hold(0)
    workflow.start()
    return workflow.at_work(0).number


def control(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=True)


@pytest.fixture(scope="module")
def struck(cluster, tmp_path_factory: pytest.TempPathFactory) -> Mock:
    """A workflow that has ended although each of its jobs but the first was struck in another way."""
    memory = ("--default-resources", "mem_mb=1000 * attempt", "runtime=10", "slurm_account=none")
    workflow = Mock(tmp_path_factory.mktemp("struck") / "mock", jobs=len(STRUCK), arguments=memory)
    for number in (STRUCK.index("cancelled"), STRUCK.index("put back")):
        workflow.hold(number)
    for kind in ("fails", "dies", "half", "hungry"):
        workflow.make_unlucky(STRUCK.index(kind), kind)
    workflow.start()
    subprocess.run(["scancel", workflow.at_work(STRUCK.index("cancelled")).number], check=True)
    control("requeue", workflow.at_work(STRUCK.index("put back")).number)
    for kind in ("cancelled", "put back"):
        workflow.release_next(STRUCK.index(kind))
    assert workflow.ends(), workflow.log
    return workflow


@contextmanager
def away() -> Iterator[None]:
    """The controller is not there."""
    slurm.CONTROLLER.stop()
    try:
        yield
    finally:
        slurm.CONTROLLER.start()


def test_struck_jobs_have_the_result_of_others(struck):
    assert struck.total == expected(len(STRUCK))


@pytest.mark.parametrize(("number", "kind"), list(enumerate(STRUCK)))
def test_a_struck_job_is_run_again_and_no_other(struck, number, kind):
    starts = struck.starts(number)
    assert len(starts) == (1 if kind == "untouched" else 2), "attempts"
    assert len(set(starts)) == (1 if kind in ("untouched", "put back") else 2), "SLURM's numbers"
    assert len(struck.ended(number)) == 1


def test_a_users_mistake_is_made_once_and_stops_no_other_job(mock):
    workflow = mock(jobs=2)
    workflow.make_unlucky(0, "mistaken")
    assert not workflow.start().ends(), workflow.log
    assert [len(workflow.starts(number)) for number in range(2)] == [1, 1]
    assert len(workflow.ended(1)) == 1
    assert "ended in a mistake" in workflow.log


def test_a_node_that_goes_down_and_comes_back(mock):
    workflow = mock()
    held(workflow)
    control("update", f"nodename={slurm.host()}", "state=down", "reason=test")
    slurm.wait(lambda: not any(job.state == "RUNNING" for job in workflow.jobs), "the job survives its node")
    workflow.release(0)
    slurm.resume()
    assert workflow.ends(), workflow.log
    assert workflow.total == expected(1)
    assert len(workflow.starts(0)) == 2


def test_a_controller_that_is_away_for_a_while(mock):
    workflow = mock(arguments=("--slurm-status-attempts=1",))  # questions without an answer that the plugin bears
    held(workflow)
    with away():
        time.sleep(10)  # a question ends without an answer after three
    workflow.release(0)
    assert workflow.ends(), workflow.log
    assert workflow.total == expected(1)
    assert len(workflow.starts(0)) == 1, "the job ran on"


def test_a_controller_that_is_away_when_jobs_are_submitted(mock):
    workflow = mock()
    with away():
        workflow.start()
        slurm.wait(workflow.refused(0).exists, lambda: f"it is not tried again: {workflow.log}", seconds=PATIENCE)
    assert workflow.ends(), workflow.log
    assert workflow.total == expected(1)
    assert len(workflow.starts(0)) == 1


def test_a_preempted_job_is_submitted_again(mock):
    workflow = mock()
    first = held(workflow)
    urgent = ["sbatch", "--parsable", f"--partition={slurm.URGENT}", "--exclusive", "--output=/dev/null"]
    subprocess.run([*urgent, "--wrap=sleep 5"], check=True, capture_output=True)
    workflow.release_next(0)
    assert workflow.ends(), workflow.log
    assert "was preempted" in workflow.log
    assert workflow.total == expected(1)
    assert workflow.starts(0)[0] == first
    assert len(set(workflow.starts(0))) == 2


def test_a_cluster_that_takes_no_jobs_for_a_while(mock):
    control("update", f"partitionname={slurm.PARTITION}", "state=drain")
    try:
        workflow = mock(jobs=2).start()
        slurm.wait(workflow.refused(0).exists, lambda: f"it is not tried again: {workflow.log}", seconds=PATIENCE)
    finally:
        control("update", f"partitionname={slurm.PARTITION}", "state=up")
    assert workflow.ends(), workflow.log
    assert not workflow.refused(0).exists()
    assert workflow.total == expected(2)
    assert [len(workflow.starts(number)) for number in range(2)] == [1, 1]


def test_a_killed_snakemake_that_is_started_again(mock):
    workflow = mock()
    orphan = held(workflow)
    workflow.kill()
    assert [job.number for job in workflow.jobs] == [orphan], "the job runs on"
    workflow.start()
    workflow.release_next(0)
    assert orphan not in [job.number for job in workflow.jobs]
    assert workflow.ends(), workflow.log
    assert workflow.total == expected(1)
    assert len(workflow.ended(0)) == 1, "nothing is done twice"


def test_a_node_whose_daemon_is_killed(mock):
    workflow = mock()
    held(workflow)
    slurm.NODE.stop(signal.SIGKILL)
    workflow.release(0)
    slurm.NODE.start()
    assert workflow.ends(), workflow.log
    assert workflow.total == expected(1)
