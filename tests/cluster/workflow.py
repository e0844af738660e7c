"""Workflows on the tests' SLURM, through the profile for users."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.checkout import REPOSITORY
from tests.cluster import slurm
from workflow_scripts.submit import REFUSED

PROFILE = REPOSITORY / "config" / "profiles" / "slurm"
MOCK = REPOSITORY / "tests" / "cluster" / "mock" / "Snakefile"
ARRAYS = ("--slurm-array-jobs=all",)
TIMEOUT_SECONDS = 240.0  # until a workflow counts as hung: several times the duration of the slowest


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as listed by the controller."""

    number: str
    state: str
    comment: str  # rule and wildcards
    gres: str
    cores: int


@dataclass
class Workflow:
    """Snakemake in `folder`, with its output in `folder`/snakemake.log."""

    folder: Path
    snakefile: Path
    arguments: tuple[str, ...] = ()
    fast_polling: bool = True  # poll jobs every second, otherwise as often as in the profile
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> str:
        """Output of Snakemake so far."""
        return (self.folder / "snakemake.log").read_text(encoding="utf-8")

    @property
    def jobs(self) -> list[Job]:
        """Jobs of this workflow that are pending or running."""
        listing = slurm.run("squeue", "--noheader", "--format=%i|%T|%k|%b|%C|%Z")
        rows = [line.split("|") for line in listing.splitlines()]
        return [
            Job(number=number, state=state, comment=comment, gres=gres, cores=int(cores))
            for number, state, comment, gres, cores, folder in rows
            if Path(folder) == self.folder.resolve() and state in ("PENDING", "RUNNING")
        ]

    @property
    def processes(self) -> list[int]:
        """Ids of all processes whose working directory is the folder."""
        numbers = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):  # the process has ended
                if link.readlink() == self.folder.resolve():
                    numbers.append(int(link.parent.name))
        return numbers

    def start(self, *arguments: str) -> Workflow:
        """Start Snakemake."""
        program = "tests.cluster.fast_polling" if self.fast_polling else "snakemake"
        command = [sys.executable, "-m", program, f"--snakefile={self.snakefile}", f"--profile={PROFILE}", "--nocolor"]
        with (self.folder / "snakemake.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments, *arguments],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            )
        return self

    def wait_for_running(self, comment: str) -> Job:
        """Wait until a job with this comment runs, and return it."""
        running: list[Job] = []

        def is_running() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            running[:] = [job for job in self.jobs if job.comment == comment and job.state == "RUNNING"]
            return bool(running)

        slurm.wait_until(is_running, lambda: f"{comment} does not run: {self.log}", seconds=TIMEOUT_SECONDS)
        return running[0]

    def finish(self, *, seconds: float = TIMEOUT_SECONDS) -> bool:
        """Wait for Snakemake's end; return whether it succeeded. Raises `TimeoutError` if it hangs."""
        assert self.process is not None
        process = self.process
        slurm.wait_until(lambda: process.poll() is not None, lambda: f"the workflow hangs: {self.log}", seconds=seconds)
        return process.returncode == 0

    def kill(self) -> None:
        """Kill Snakemake, as a crash of its machine would, and unlock the folder, as its user would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        command = [sys.executable, "-m", "snakemake", f"--snakefile={self.snakefile}", "--cores=1", "--unlock"]
        arguments = [word for word in self.arguments if not word.startswith("--set")]
        subprocess.run([*command, *arguments], cwd=self.folder, check=True, capture_output=True)


class MockWorkflow(Workflow):
    """Workflow of cheap jobs, numbered from 0."""

    def __init__(
        self,
        folder: Path,
        *,
        jobs: int,
        arguments: tuple[str, ...] = (),
        fast_polling: bool = True,
    ) -> None:
        """Make the folders of the mock workflow."""
        super().__init__(folder, MOCK, arguments=(*arguments, "--config", f"jobs={jobs}"), fast_polling=fast_polling)
        self.count = jobs
        for name in ("starts", "ends", "hold", "faults"):
            (folder / name).mkdir(parents=True)

    def hold(self, number: int) -> None:
        """Make a job wait, once it has started, until it is released."""
        (self.folder / "hold" / str(number)).touch()

    def release(self, number: int) -> None:
        """Release a held job."""
        (self.folder / "hold" / str(number)).unlink()

    def release_next(self, number: int) -> None:
        """Release a held job at its second attempt: the first, which SLURM was asked to end, may run on for a while."""
        restarted = f"job {number} is not started again"
        slurm.wait_until(
            lambda: len(self.start_ids(number)) >= 2, lambda: f"{restarted}: {self.log}", seconds=TIMEOUT_SECONDS
        )
        self.release(number)

    def plan_fault(self, number: int, kind: str) -> None:
        """Make the first attempt of a job fail in one of the ways of work.sh."""
        (self.folder / "faults" / str(number)).write_text(kind)

    def wait_for_start(self, number: int) -> Job:
        """Wait until the script of a job has started, and return the job."""
        job = self.wait_for_running(make_comment(number))
        before = len(self.start_ids(number))
        complaint = f"job {number} of {before} starts does not start"
        slurm.wait_until(lambda: job.number in self.start_ids(number), complaint, seconds=TIMEOUT_SECONDS)
        return job

    def start_ids(self, number: int) -> list[str]:
        """Read SLURM's number of each attempt of a job whose script has started."""
        return _read_lines(self.folder / "starts" / str(number))

    def results(self, number: int) -> list[str]:
        """Read the result of each finished attempt of a job."""
        return _read_lines(self.folder / "ends" / str(number))

    def refusal_mark(self, number: int) -> Path:
        """Return the path of the file that marks a job as refused by SLURM."""
        return self.folder / "logs" / "slurm" / "rule_work" / str(number) / REFUSED

    @property
    def table(self) -> str:
        """Final table of the workflow."""
        return (self.folder / "total.txt").read_text(encoding="utf-8")


def make_comment(number: int) -> str:
    """Return the comment by which the plugin identifies a job to the controller."""
    return f"rule_work_wildcards_{number}"


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
