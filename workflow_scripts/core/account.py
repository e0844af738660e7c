"""Environment of accounts that lack what libraries expect: a user's name, and a folder for compiled code.

In a container a user may be a bare number, and neither the installation nor the home folder may be writable. torch's
compiler and numba then stop at import.
"""

from __future__ import annotations

import atexit
import contextlib
import getpass
import os
import shutil
import sysconfig
import tempfile
from pathlib import Path

from workflow_scripts.core.source import PACKAGE

NUMBA_CACHE = "NUMBA_CACHE_DIR"


def adapt_environment() -> None:
    """Name a nameless user by its number, and give numba a folder of this process if it can write to no other."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"uid{os.getuid()}"
    if NUMBA_CACHE in os.environ or _is_writable(_user_cache()):
        return
    # beside the code: that of this project and of librosa
    if _is_writable(PACKAGE) and _is_writable(Path(sysconfig.get_path("purelib"))):
        return
    with contextlib.suppress(OSError):  # no temporary folder either: the error of numba names the file
        os.environ[NUMBA_CACHE] = folder = tempfile.mkdtemp(prefix="prelude-numba-")
        atexit.register(_remove, folder, process=os.getpid())


def _user_cache() -> Path:
    """Return the user's folder of caches, as numba does."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 - Path's raises


def _is_writable(folder: Path) -> bool:
    """Return whether a folder can be written to, or made; one below an unknown home is relative and cannot."""
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    return folder.is_absolute() and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _remove(folder: str, *, process: int) -> None:
    if os.getpid() == process:  # not a fork of it, which may end earlier
        shutil.rmtree(folder, ignore_errors=True)
