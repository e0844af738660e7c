"""Copies of the repository in which the real workflow runs on the tests' SLURM."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.checkout import REPOSITORY
from tests.cluster.workflow import Workflow

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "data", "results", "logs", ".snakemake", "__pycache__", ".*_cache", ".hypothesis"
)


def copied(folder: Path) -> Path:
    """A copy of the repository."""
    shutil.copytree(REPOSITORY, folder, ignore=LEFT_OUT)
    return folder


def locally(folder: Path, *arguments: str) -> None:
    """Run the workflow on this machine."""
    command = [sys.executable, "-m", "snakemake", "--cores=2", "--scheduler=greedy", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]


def on_the_cluster(folder: Path, *arguments: str) -> Workflow:
    """The workflow, to be started; one thread a job, for the node has fewer cores than it says."""
    return Workflow(folder, folder / "Snakefile", arguments=("--max-threads=1", *arguments))
