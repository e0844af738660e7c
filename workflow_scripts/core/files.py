"""Files that are whole or not there, and folders that several users and workflows share."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workflow_scripts.core.errors import NO_SPACE, PassingError, UserError

#: how libraries that write by themselves (torch, safetensors, pyarrow) say that the disk is full or over quota
FULL_IN_WORDS = re.compile(r"No space left|StorageFull|[Qq]uota ?[Ee]xceeded|os error (28|122)\b")
LEFT_ON_A_FULL_DISK = 1 << 20  # torch only says that writing failed; fewer bytes than any of its files were then left
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})  # said by file systems without flock


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and replaces `path`, on failure it is removed.

    A full disk raises `OSError` that names `path`, whichever library was writing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_named(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=f".partial{path.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_named(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; results are shared
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with written_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write `content` as indented JSON in the order given, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise `UserError` unless the disk under `folder` has `needed_bytes` free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise UserError(
            f"{folder} needs {needed_bytes / 1e9:.2f} GB and has {free / 1e9:.2f} GB free: "
            "free some space or choose another disk"
        )


def reserve(path: Path) -> None:
    """Take the disk space of a file with holes, so that writing to it through a memory-map cannot fail.

    A full disk would otherwise kill the process that touches a hole, without a word.
    """
    with full_disk_named(path), path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, path.stat().st_size))


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Raise what a full disk causes as an `OSError` that names `path`; torch, for one, has errors of its own."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        said = error.errno if isinstance(error, OSError) else None
        if isinstance(error, OSError) and said in NO_SPACE:
            error.filename = str(path)
        full = FULL_IN_WORDS.search(str(error)) or shutil.disk_usage(path.parent).free < LEFT_ON_A_FULL_DISK
        if said is None and full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


@contextmanager
def locked(path: Path, *, what: str, shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for this process, alone or, `shared`, beside others that only read.

    The file tells who holds it. The system lets go when the process ends, however it ends; on file systems without
    such locks `<path>.owner` stands for one held alone, and one whose process is gone is taken over. Raises
    `PassingError`, which names `what` and the holder, when another process holds it.
    """
    with contextlib.ExitStack() as stack:
        handle = _lock_file(path)
        if handle is None:  # a folder that can only be read has no writer to be kept away
            yield
            return
        stack.callback(os.close, handle)
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _held(what, path, _read_owner(path)) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            stack.enter_context(_owned(path.with_name(f"{path.name}.owner"), what=what, shared=shared))
        _note_owner(handle)
        yield


def _lock_file(path: Path) -> int | None:
    """Open the lock file, to read where another user made it; None where there is none and none can be made."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
                raise
    return None


@contextmanager
def _owned(path: Path, *, what: str, shared: bool) -> Iterator[None]:
    """Be the one whose name stands in `path`; readers only look whether there is one."""
    owner = _read_owner(path) if path.exists() else None
    if owner is not None and _is_gone(owner):
        path.unlink(missing_ok=True)
        owner = None
    if owner is not None:
        raise _held(what, path, owner, by_hand=True)
    if shared:
        yield
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError as error:
        raise _held(what, path, _read_owner(path), by_hand=True) from error
    try:
        os.write(handle, json.dumps(_this_process()).encode())
        os.close(handle)
        yield
    finally:
        path.unlink(missing_ok=True)


def _held(what: str, path: Path, owner: dict[str, Any], *, by_hand: bool = False) -> PassingError:
    who = (
        f"{owner.get('user')} on {owner.get('host')} (process {owner.get('process')}, since {owner.get('since')})"
        if owner
        else "another process"
    )
    advice = f", or delete {path} if that process is gone" if by_hand else ""
    return PassingError(f"{what} is in use by {who}: wait until that is done and run again{advice}")


def _note_owner(handle: int) -> None:
    """Write who holds the lock into its file; one that another user made can only be read and keeps its old note."""
    with contextlib.suppress(OSError):
        text = json.dumps(_this_process()).encode()
        os.ftruncate(handle, 0)
        os.pwrite(handle, text, 0)


def _this_process() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in some containers
        user = str(os.getuid())
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"user": user, "host": socket.gethostname(), "process": os.getpid(), "since": since}


def _read_owner(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        owner = json.loads(path.read_text(encoding="utf-8"))
        return owner if isinstance(owner, dict) else {}
    return {}


def _is_gone(owner: dict[str, Any]) -> bool:
    """Whether the process of a note ran on this host and does not any more; of another host nobody can tell."""
    if owner.get("host") != socket.gethostname() or not isinstance(owner.get("process"), int):
        return False
    try:
        os.kill(owner["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
