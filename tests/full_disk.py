"""A small file system that tests can fill."""

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
    """Mount a small file system at `folder`; skip the test if that is not permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    try:
        permitted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        permitted = False
    if not permitted:
        pytest.skip("needs permission to mount a small tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_up(folder: Path, *, left: int = 0) -> None:
    """Fill the disk of `folder`, except for `left` bytes."""
    free = shutil.disk_usage(folder).free - left
    with (folder / FILLER).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free))


def free_space(folder: Path) -> None:
    """Free the space taken by `fill_up`."""
    (folder / FILLER).unlink()


def unfinished_files(folder: Path) -> list[str]:
    """List the unfinished files below `folder`."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if ".partial" in path.name]
