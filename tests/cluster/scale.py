"""Many cheap jobs through SLURM, a tenth of them unlucky, and an account of what became of them.

    python -m tests.cluster.scale [--jobs 1000]

It waits as the profile does, so that the controller's load is what users cause.
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
from tests.cluster.workflow import Mock

UNLUCKY = ("fails", "dies", "half", "cancelled")
SHARE = 0.1
QUESTIONS = ("REQUEST_JOB_INFO", "REQUEST_SUBMIT_BATCH_JOB")  # squeue and sbatch, as the controller counts them


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of the jobs."""

    jobs: int
    unlucky: int
    attempts: int
    lost: int  # without a result
    twice: int  # that came to an end more than once
    differing: int  # of those, with different results
    seconds: float
    questions: dict[str, int]  # that the controller was asked, by kind


def prepare(folder: Path, *, jobs: int, hurry: bool, seed: int = 0) -> Mock:
    """Make a workflow of which every tenth job is unlucky once."""
    workflow = Mock(folder, jobs=jobs, hurry=hurry)
    generator = random.Random(seed)
    for number in generator.sample(range(jobs), round(SHARE * jobs)):
        workflow.make_unlucky(number, generator.choice(UNLUCKY))
    return workflow


def run(workflow: Mock, *, seconds: float) -> Account:
    """Run it and count; `TimeoutError` where it does not end."""
    unlucky = len(list((workflow.folder / "unlucky").iterdir()))
    before, started = _asked(), time.monotonic()
    assert workflow.start().ends(seconds=seconds), workflow.log[-5000:]
    numbers = range(workflow.count)
    ends = [workflow.ended(number) for number in numbers]
    results = workflow.total.splitlines()
    return Account(
        jobs=workflow.count,
        unlucky=unlucky,
        attempts=sum(len(workflow.starts(number)) for number in numbers),
        lost=workflow.count - len(set(results)),
        twice=sum(len(each) > 1 for each in ends),
        differing=sum(len(set(each)) > 1 for each in ends),
        seconds=round(time.monotonic() - started, 1),
        questions={kind: asked - before.get(kind, 0) for kind, asked in _asked().items()},
    )


def _asked() -> dict[str, int]:
    told = slurm.run("sdiag")
    found = {kind: re.search(rf"{kind}\s+\(\s*\d+\)\s+count:(\d+)", told) for kind in QUESTIONS}
    return {kind: int(match.group(1)) if match else 0 for kind, match in found.items()}


def main() -> None:
    """Run and print the account."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    jobs = parser.parse_args().jobs
    slurm.up()
    with tempfile.TemporaryDirectory(prefix="prelude-scale-") as folder:
        account = run(prepare(Path(folder) / "mock", jobs=jobs, hurry=False), seconds=30 * jobs)
    for name, value in asdict(account).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
