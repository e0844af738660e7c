"""Links and special files in places where a plain file belongs."""

from __future__ import annotations

import os
from pathlib import Path


def put_in_place(kind: str, path: Path, victim: Path) -> None:
    """Put a link to `victim`, or no file at all, in the place of `path`."""
    match kind:
        case "symbolic link" | "dangling link":
            path.symlink_to(victim)
        case "hard link":
            path.hardlink_to(victim)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
