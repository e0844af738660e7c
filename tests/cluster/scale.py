"""Load test: many cheap jobs through SLURM, a tenth of them with a fault, and a report of their outcomes.

    python -m tests.cluster.scale [--jobs 1000] [--arrays]

Jobs are polled as often as in the profile, so that the controller's load is the one users cause.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster import slurm
from tests.cluster.workflow import ARRAYS, MockWorkflow

FAULTS = ("fails", "dies", "half", "cancelled")
FAULT_SHARE = 0.1
REQUESTS = ("REQUEST_JOB_INFO", "REQUEST_SUBMIT_BATCH_JOB")  # squeue and sbatch, as counted by the controller


@dataclass(frozen=True, kw_only=True)
class ScaleReport:
    """Outcomes of the jobs."""

    jobs: int
    with_fault: int
    attempts: int
    lost: int  # without a result
    finished_twice: int
    differing: int  # finished twice with different results
    seconds: float
    requests: dict[str, int]  # to the controller, by kind


def prepare(folder: Path, *, jobs: int, fast_polling: bool, arrays: bool, seed: int = 0) -> MockWorkflow:
    """Make a workflow in which every tenth job has one fault."""
    workflow = MockWorkflow(folder, jobs=jobs, arguments=ARRAYS if arrays else (), fast_polling=fast_polling)
    rng = random.Random(seed)
    for number in rng.sample(range(jobs), round(FAULT_SHARE * jobs)):
        workflow.plan_fault(number, rng.choice(FAULTS))
    return workflow


def run(workflow: MockWorkflow, *, seconds: float) -> ScaleReport:
    """Run a workflow and count outcomes. Raises `TimeoutError` if it does not end in time."""
    with_fault = len(list((workflow.folder / "faults").iterdir()))
    before, started = _count_requests(), time.monotonic()
    assert workflow.start().finish(seconds=seconds), workflow.log[-5000:]
    numbers = range(workflow.count)
    results = [workflow.results(number) for number in numbers]
    rows = workflow.table.splitlines()
    return ScaleReport(
        jobs=workflow.count,
        with_fault=with_fault,
        attempts=sum(len(workflow.start_ids(number)) for number in numbers),
        lost=workflow.count - len(set(rows)),
        finished_twice=sum(len(job_results) > 1 for job_results in results),
        differing=sum(len(set(job_results)) > 1 for job_results in results),
        seconds=round(time.monotonic() - started, 1),
        requests={kind: count - before.get(kind, 0) for kind, count in _count_requests().items()},
    )


def _count_requests() -> dict[str, int]:
    statistics = slurm.run("sdiag")
    matches = {kind: re.search(rf"{kind}\s+\(\s*\d+\)\s+count:(\d+)", statistics) for kind in REQUESTS}
    return {kind: int(match.group(1)) if match else 0 for kind, match in matches.items()}


def main() -> None:
    """Run the load test and print its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--arrays", action="store_true", help="submit the jobs as arrays")
    arguments = parser.parse_args()
    jobs = arguments.jobs
    slurm.start_cluster()
    with tempfile.TemporaryDirectory(prefix="prelude-scale-") as folder:
        workflow = prepare(Path(folder) / "mock", jobs=jobs, fast_polling=False, arrays=arguments.arrays)
        report = run(workflow, seconds=30 * jobs)
    for name, value in asdict(report).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
