"""Memory that this process may use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: limit of a container or of a user's session, in bytes; "max" if there is none (version 2 and 1 of control groups)
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_limit() -> int | None:
    """Return the bytes of memory of this machine, or of the container if it has fewer; None where it is not known."""
    limits = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # another system than Linux or macOS
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(file.read_text(encoding="ascii")))
    return min(limits, default=None)
