"""Copies of the repository, in which the real workflow runs on the tests' SLURM."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.checkout import REPOSITORY
from tests.cluster.workflow import Workflow

NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "data", "results", "logs", ".snakemake", "__pycache__", ".*_cache", ".hypothesis"
)


def copy_repository(folder: Path) -> Path:
    """Copy the repository to `folder`."""
    shutil.copytree(REPOSITORY, folder, ignore=NOT_COPIED)
    return folder


def run_locally(folder: Path, *arguments: str) -> None:
    """Run the workflow on this machine."""
    command = [sys.executable, "-m", "snakemake", "--cores=2", "--scheduler=greedy", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-5000:]


def make_workflow(folder: Path, *arguments: str) -> Workflow:
    """Make the workflow of a copy, with one thread per job, since the node has fewer cores than it states."""
    return Workflow(folder, folder / "Snakefile", arguments=("--max-threads=1", *arguments))
