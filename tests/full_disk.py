"""A disk of a few megabytes, to be filled."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

FILLER = "filler"


@contextlib.contextmanager
def small_disk(folder: Path, *, mebibytes: int) -> Iterator[Path]:
    """A file system of its own at `folder`; the test is skipped where that is not allowed."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    try:
        allowed = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, left: int = 0) -> None:
    """Take the space on the disk of `folder`, all but `left` bytes."""
    free = shutil.disk_usage(folder).free - left
    with (folder / FILLER).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free))


def empty(folder: Path) -> None:
    """Give the space back."""
    (folder / FILLER).unlink()


def rests(folder: Path) -> list[str]:
    """Unfinished files below `folder`."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if ".partial" in path.name]
