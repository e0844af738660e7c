"""Faults of a cluster, each caused by the real scheduler: the workflow ends with the result of an undisturbed one."""

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
from tests.cluster.workflow import ARRAYS, TIMEOUT_SECONDS, MockWorkflow

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

#: faults of job 0, 1, ... of one workflow: none, cancelled by scancel, requeued by the scheduler, failed, killed,
#: killed with a half-written output and the Snakemake around it, killed for its memory
FAULTS = ("none", "cancelled", "requeued", "fails", "dies", "half", "hungry")


def expected_table(jobs: int) -> str:
    """Compute the final table of an undisturbed workflow."""
    results = [hashlib.sha256(f"{number}\n".encode()).hexdigest()[:16] for number in range(jobs)]
    return "".join(f"{number} {result}\n" for number, result in enumerate(results))


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Callable[..., MockWorkflow]]:
    """Return a function that makes workflows; end those still running after the test."""
    workflows: list[MockWorkflow] = []

    def make(**options: object) -> MockWorkflow:
        workflows.append(MockWorkflow(tmp_path / f"mock{len(workflows)}", **{"jobs": 1, **options}))
        return workflows[-1]

    yield make
    for workflow in workflows:
        end_workflow(workflow)


def end_workflow(workflow: MockWorkflow) -> None:
    """End all processes and jobs of a workflow. Raises `TimeoutError` if some are left."""
    if workflow.process is not None and workflow.process.poll() is None:
        workflow.process.kill()
        workflow.process.wait()
    numbers = [job.number for job in workflow.jobs]
    if numbers:
        subprocess.run(["scancel", *numbers], check=False)
    slurm.wait_until(lambda: not workflow.processes, f"processes are left in {workflow.folder}")


def start_held_job(workflow: MockWorkflow) -> str:
    """Start a workflow whose job 0 waits in its script; return SLURM's number of the job."""
    workflow.hold(0)
    workflow.start()
    return workflow.wait_for_start(0).number


def run_scontrol(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=True)


@pytest.fixture(scope="module")
def faulty_workflow(cluster, tmp_path_factory: pytest.TempPathFactory) -> MockWorkflow:
    """Run a workflow to its end in which each job but the first has another fault."""
    memory = ("--default-resources", "mem_mb=1000 * attempt", "runtime=10", "slurm_account=none")
    workflow = MockWorkflow(tmp_path_factory.mktemp("faults") / "mock", jobs=len(FAULTS), arguments=memory)
    for number in (FAULTS.index("cancelled"), FAULTS.index("requeued")):
        workflow.hold(number)
    for kind in ("fails", "dies", "half", "hungry"):
        workflow.plan_fault(FAULTS.index(kind), kind)
    workflow.start()
    subprocess.run(["scancel", workflow.wait_for_start(FAULTS.index("cancelled")).number], check=True)
    run_scontrol("requeue", workflow.wait_for_start(FAULTS.index("requeued")).number)
    for kind in ("cancelled", "requeued"):
        workflow.release_next(FAULTS.index(kind))
    assert workflow.finish(), workflow.log
    return workflow


@contextmanager
def stopped_controller() -> Iterator[None]:
    """Stop the controller in the meantime."""
    slurm.CONTROLLER.stop()
    try:
        yield
    finally:
        slurm.CONTROLLER.start()


def test_jobs_with_faults_have_the_results_of_others(faulty_workflow):
    assert faulty_workflow.table == expected_table(len(FAULTS))


@pytest.mark.parametrize(("number", "kind"), list(enumerate(FAULTS)))
def test_only_jobs_with_faults_are_run_again(faulty_workflow, number, kind):
    starts = faulty_workflow.start_ids(number)
    assert len(starts) == (1 if kind == "none" else 2), "attempts"
    assert len(set(starts)) == (1 if kind in ("none", "requeued") else 2), "SLURM's numbers"
    assert len(faulty_workflow.results(number)) == 1


def test_a_users_mistake_in_an_array_is_not_retried_and_stops_no_other_job(mock):
    workflow = mock(jobs=2, arguments=ARRAYS)
    workflow.plan_fault(0, "mistaken")
    assert not workflow.start().finish(), workflow.log
    assert [len(workflow.start_ids(number)) for number in range(2)] == [1, 1]
    assert len(workflow.results(1)) == 1
    assert "an error that a retry would not fix" in workflow.log
    assert workflow.log.count("Submitted array job") == 1


def test_a_node_may_go_down_and_come_back(mock):
    workflow = mock()
    start_held_job(workflow)
    run_scontrol("update", f"nodename={slurm.host_name()}", "state=down", "reason=test")
    slurm.wait_until(lambda: not any(job.state == "RUNNING" for job in workflow.jobs), "the job survives its node")
    workflow.release(0)
    slurm.resume_node()
    assert workflow.finish(), workflow.log
    assert workflow.table == expected_table(1)
    assert len(workflow.start_ids(0)) == 2


def test_the_controller_may_be_away_for_a_while(mock):
    workflow = mock(arguments=("--slurm-status-attempts=1",))  # unanswered requests that the plugin tolerates
    start_held_job(workflow)
    with stopped_controller():
        time.sleep(10)  # a request times out after three
    workflow.release(0)
    assert workflow.finish(), workflow.log
    assert workflow.table == expected_table(1)
    assert len(workflow.start_ids(0)) == 1, "the job ran on"


def test_the_controller_may_be_away_when_jobs_are_submitted(mock):
    workflow = mock()
    with stopped_controller():
        workflow.start()
        slurm.wait_until(
            workflow.refusal_mark(0).exists, lambda: f"it is not tried again: {workflow.log}", seconds=TIMEOUT_SECONDS
        )
    assert workflow.finish(), workflow.log
    assert workflow.table == expected_table(1)
    assert len(workflow.start_ids(0)) == 1


def test_a_preempted_job_is_submitted_again(mock):
    workflow = mock()
    first = start_held_job(workflow)
    urgent = ["sbatch", "--parsable", f"--partition={slurm.URGENT}", "--exclusive", "--output=/dev/null"]
    subprocess.run([*urgent, "--wrap=sleep 5"], check=True, capture_output=True)
    workflow.release_next(0)
    assert workflow.finish(), workflow.log
    assert "was preempted" in workflow.log
    assert workflow.table == expected_table(1)
    assert workflow.start_ids(0)[0] == first
    assert len(set(workflow.start_ids(0))) == 2


def test_the_cluster_may_refuse_jobs_for_a_while(mock):
    run_scontrol("update", f"partitionname={slurm.PARTITION}", "state=drain")
    try:
        workflow = mock(jobs=2).start()
        slurm.wait_until(
            workflow.refusal_mark(0).exists, lambda: f"it is not tried again: {workflow.log}", seconds=TIMEOUT_SECONDS
        )
    finally:
        run_scontrol("update", f"partitionname={slurm.PARTITION}", "state=up")
    assert workflow.finish(), workflow.log
    assert not workflow.refusal_mark(0).exists()
    assert workflow.table == expected_table(2)
    assert [len(workflow.start_ids(number)) for number in range(2)] == [1, 1]


def test_a_killed_snakemake_can_be_started_again(mock):
    workflow = mock()
    orphan = start_held_job(workflow)
    workflow.kill()
    assert [job.number for job in workflow.jobs] == [orphan], "the job runs on"
    workflow.start()
    workflow.release_next(0)
    assert orphan not in [job.number for job in workflow.jobs]
    assert workflow.finish(), workflow.log
    assert workflow.table == expected_table(1)
    assert len(workflow.results(0)) == 1, "nothing is done twice"


def test_an_interruption_cancels_all_jobs_and_the_next_start_goes_on(mock):
    workflow = mock(jobs=3, arguments=ARRAYS)
    workflow.hold(0)
    workflow.start()
    slurm.wait_until(lambda: workflow.start_ids(0), lambda: f"no start: {workflow.log}", seconds=TIMEOUT_SECONDS)
    workflow.process.send_signal(signal.SIGINT)
    assert not workflow.finish(), workflow.log
    slurm.wait_until(lambda: not workflow.jobs, lambda: f"jobs are left: {workflow.jobs}")
    workflow.release(0)
    assert workflow.start().finish(), workflow.log
    assert workflow.table == expected_table(3)


def test_the_daemon_of_a_node_may_be_killed(mock):
    workflow = mock()
    start_held_job(workflow)
    slurm.NODE.stop(signal.SIGKILL)
    workflow.release(0)
    slurm.NODE.start()
    assert workflow.finish(), workflow.log
    assert workflow.table == expected_table(1)
