"""A workflow that runs on the tests' SLURM through the profile that users have."""

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
PATIENCE = 240.0  # seconds until a workflow counts as hung: several times what the slowest takes


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as the controller knows it."""

    number: str
    state: str
    comment: str  # rule and wildcards
    gres: str
    cores: int


@dataclass
class Workflow:
    """Snakemake in `folder`; what it prints goes to `folder`/snakemake.log."""

    folder: Path
    snakefile: Path
    arguments: tuple[str, ...] = ()
    hurry: bool = True  # look at the jobs every second; else as often as the profile says
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> str:
        """All that Snakemake has printed so far."""
        return (self.folder / "snakemake.log").read_text(encoding="utf-8")

    @property
    def jobs(self) -> list[Job]:
        """Its jobs that wait or run."""
        told = slurm.run("squeue", "--noheader", "--format=%i|%T|%k|%b|%C|%Z")
        rows = [line.split("|") for line in told.splitlines()]
        return [
            Job(number=number, state=state, comment=comment, gres=gres, cores=int(cores))
            for number, state, comment, gres, cores, where in rows
            if Path(where) == self.folder.resolve() and state in ("PENDING", "RUNNING")
        ]

    @property
    def processes(self) -> list[int]:
        """All processes that are at work in its folder."""
        found = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):  # it has ended
                if link.readlink() == self.folder.resolve():
                    found.append(int(link.parent.name))
        return found

    def start(self, *arguments: str) -> Workflow:
        """Start Snakemake."""
        program = "tests.cluster.fast_retries" if self.hurry else "snakemake"
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

    def running(self, comment: str) -> Job:
        """The job with this comment, as soon as it runs."""
        found: list[Job] = []

        def appears() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            found[:] = [job for job in self.jobs if job.comment == comment and job.state == "RUNNING"]
            return bool(found)

        slurm.wait(appears, lambda: f"{comment} does not run: {self.log}", seconds=PATIENCE)
        return found[0]

    def ends(self, *, seconds: float = PATIENCE) -> bool:
        """Whether Snakemake ends well; `TimeoutError` when it hangs."""
        assert self.process is not None
        process = self.process
        slurm.wait(lambda: process.poll() is not None, lambda: f"the workflow hangs: {self.log}", seconds=seconds)
        return process.returncode == 0

    def kill(self) -> None:
        """End Snakemake as a crash of its machine does, and break its lock as its user then would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        command = [sys.executable, "-m", "snakemake", f"--snakefile={self.snakefile}", "--cores=1", "--unlock"]
        given = [word for word in self.arguments if not word.startswith("--set")]
        subprocess.run([*command, *given], cwd=self.folder, check=True, capture_output=True)


class Mock(Workflow):
    """Cheap jobs, numbered from 0."""

    def __init__(
        self,
        folder: Path,
        *,
        jobs: int,
        arguments: tuple[str, ...] = (),
        hurry: bool = True,
    ) -> None:
        """Make its folders."""
        super().__init__(folder, MOCK, arguments=(*arguments, "--config", f"jobs={jobs}"), hurry=hurry)
        self.count = jobs
        for name in ("starts", "ends", "hold", "unlucky"):
            (folder / name).mkdir(parents=True)

    def hold(self, number: int) -> None:
        """Let a job wait, once it has started, until it is released."""
        (self.folder / "hold" / str(number)).touch()

    def release(self, number: int) -> None:
        """Let it go on."""
        (self.folder / "hold" / str(number)).unlink()

    def release_next(self, number: int) -> None:
        """Let its second attempt go on: the first, whose end SLURM was asked for, may work on for a while."""
        restarted = f"job {number} is not started again"
        slurm.wait(lambda: len(self.starts(number)) >= 2, lambda: f"{restarted}: {self.log}", seconds=PATIENCE)
        self.release(number)

    def make_unlucky(self, number: int, kind: str) -> None:
        """Let the first attempt of a job fail; the kinds are those of work.sh."""
        (self.folder / "unlucky" / str(number)).write_text(kind)

    def at_work(self, number: int) -> Job:
        """A job as soon as its script has started."""
        job = self.running(comment_of(number))
        before = len(self.starts(number))
        complaint = f"job {number} of {before} starts does not start"
        slurm.wait(lambda: job.number in self.starts(number), complaint, seconds=PATIENCE)
        return job

    def starts(self, number: int) -> list[str]:
        """SLURM's number of each attempt of a job whose script was started."""
        return _lines(self.folder / "starts" / str(number))

    def ended(self, number: int) -> list[str]:
        """What each attempt that came to its end had as its result."""
        return _lines(self.folder / "ends" / str(number))

    def refused(self, number: int) -> Path:
        """Where it is noted that SLURM refuses a job."""
        return self.folder / "logs" / "slurm" / "rule_work" / str(number) / REFUSED

    @property
    def total(self) -> str:
        """The final table."""
        return (self.folder / "total.txt").read_text(encoding="utf-8")


def comment_of(number: int) -> str:
    """How the plugin names a job to the controller."""
    return f"rule_work_wildcards_{number}"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
