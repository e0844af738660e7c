"""Atomic writes, full disks, and locks on folders that several users and workflows share."""

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
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workflow_scripts.core.errors import NO_SPACE, TemporaryError, UserError

#: messages of libraries with their own writers (torch, safetensors, pyarrow) for a full disk or an exceeded quota
FULL_IN_WORDS = re.compile(r"No space left|StorageFull|[Qq]uota ?[Ee]xceeded|os error (28|122)\b")
# bytes: torch only reports that a write failed; the disk is full if less than the smallest of its files is free
FREE_ON_FULL_DISK = 1 << 20
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})  # of file systems without flock
#: opening a link without following it, a folder for writing, a pipe without a reader or a socket
NO_PLAIN_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})
MAX_NOTE_BYTES = 1 << 14  # notes beside a file name a holder or a version: some hundred bytes


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; sync it and replace `path` on success, remove it on failure.

    Raises `OSError` that names `path` on a full disk, whichever library was writing, and `UserError` as
    `prepare_place`.
    """
    prepare_place(path)
    with name_full_disk(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=f".partial{path.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        with name_full_disk(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; results are shared
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def prepare_place(path: Path) -> None:
    """Make the folder of a file to write; `UserError` for a device or a pipe, which a file would take the place of."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(f"{path} is a device, a pipe or a socket: choose another path")
    path.parent.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write `content` as indented JSON in the order given, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def make_scratch_folder(path: Path) -> Iterator[Path]:
    """Make the folder `path`, without what a killed job left there, and remove it afterwards.

    The caller holds a lock on it, or on a folder above it.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise `UserError` unless the disk under `folder` has `needed_bytes` free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise UserError(
            f"{folder} needs {needed_bytes / 1e9:.2f} GB and has {free / 1e9:.2f} GB free: "
            "free some space or choose another disk"
        )


def allocate(path: Path) -> None:
    """Allocate the disk space of a sparse file, so that writing to it through a memory map cannot fail.

    On a full disk, writing to a hole would kill the process without a message.
    """
    with name_full_disk(path), path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, path.stat().st_size))


def open_plain(path: Path, flags: int) -> int:
    """Open a file in a folder that others may write to; return its handle.

    Raises `UserError` unless it is a plain file or absent: through a link, symbolic or hard, a file elsewhere would be
    written or read, and a pipe would wait for ever.
    """
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in NO_PLAIN_FILE:
            raise
        raise _no_plain_file(path) from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(handle)
        raise _no_plain_file(path)
    return handle


def append_plain(path: Path, text: str) -> None:
    """Append to a text file. Raises `UserError` as `open_plain`."""
    with os.fdopen(open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a", encoding="utf-8") as file:
        file.write(text)


def read_note(path: Path) -> str | None:
    """Read a short file beside another; None if it is absent or cannot be read. Raises `UserError` as `open_plain`."""
    try:
        with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
            return file.read(MAX_NOTE_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return None


def expand_home(path: str) -> Path:
    """Expand `~` and `~user`; the path stays as it is where the home folder is not known, as in some containers."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's raises where it is not known


def refuse_links(path: Path, *, below: Path) -> None:
    """Raise `UserError` if `path`, or a folder on the way to it from `below`, is a link: it may lead anywhere."""
    for part in [path, *path.parents][: len(path.relative_to(below).parts)]:
        if part.is_symlink():
            raise UserError(f"{part} is a link, and writing through it would change files elsewhere: delete the link")


@contextmanager
def name_full_disk(path: Path) -> Iterator[None]:
    """Raise any error that a full disk causes, such as torch's own, as an `OSError` that names `path`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        code = error.errno if isinstance(error, OSError) else None
        if isinstance(error, OSError) and code in NO_SPACE:
            error.filename = str(path)
        full = FULL_IN_WORDS.search(str(error)) or shutil.disk_usage(path.parent).free < FREE_ON_FULL_DISK
        if code is None and full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


@contextmanager
def hold_lock(path: Path, *, name: str, shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for this process: exclusively, or `shared` with other readers.

    The file names its holder. The system releases the lock when the process ends for any reason. File systems without
    locks have a file `<path>.owner` for an exclusive lock instead; if the process in it no longer exists, the lock is
    free. Raises `TemporaryError`, which begins with `name` and names the holder, if another process holds the lock.
    """
    with contextlib.ExitStack() as stack:
        handle = _lock_file(path)
        if handle is None:  # a read-only folder has no writers to exclude
            yield
            return
        stack.callback(os.close, handle)
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _lock_error(name, path, _read_owner(path)) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            stack.enter_context(_hold_owner_file(path.with_name(f"{path.name}.owner"), name=name, shared=shared))
        _note_owner(handle)
        yield


def hold_output(output: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of a job's output, against a second job of another workflow that shares the results."""
    output.parent.mkdir(parents=True, exist_ok=True)
    return hold_lock(output.with_name(f".{output.name}.lock"), name=str(output))


def _lock_file(path: Path) -> int | None:
    """Open the lock file, read-only if it belongs to another user; None if it does not exist and cannot be created."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            return open_plain(path, flags)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
                raise
    return None


@contextmanager
def _hold_owner_file(path: Path, *, name: str, shared: bool) -> Iterator[None]:
    """Hold the owner file `path` exclusively; shared holders only check that nobody does."""
    owner = _read_owner(path) if os.path.lexists(path) else None
    if owner is not None and _is_gone(owner):
        path.unlink(missing_ok=True)
        owner = None
    if owner is not None:
        raise _lock_error(name, path, owner, by_hand=True)
    if shared:
        yield
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError as error:
        raise _lock_error(name, path, _read_owner(path), by_hand=True) from error
    try:
        os.write(handle, json.dumps(_this_process()).encode())
        os.close(handle)
        yield
    finally:
        path.unlink(missing_ok=True)


def _lock_error(name: str, path: Path, owner: dict[str, Any], *, by_hand: bool = False) -> TemporaryError:
    holder = (
        f"{owner.get('user')} on {owner.get('host')} (process {owner.get('process')}, since {owner.get('since')})"
        if owner
        else "another process"
    )
    advice = f", or delete {path} if that process has ended" if by_hand else ""
    return TemporaryError(f"{name} is in use by {holder}: wait until that is done and run again{advice}")


def _note_owner(handle: int) -> None:
    """Write the holder into the lock file; a read-only file of another user keeps its old content."""
    with contextlib.suppress(OSError):
        text = json.dumps(_this_process()).encode()
        os.ftruncate(handle, 0)
        os.pwrite(handle, text, 0)


def _this_process() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = str(os.getuid())
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"user": user, "host": socket.gethostname(), "process": os.getpid(), "since": since}


def _read_owner(path: Path) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        owner = json.loads(read_note(path) or "")
        return owner if isinstance(owner, dict) else {}
    return {}


def _is_gone(owner: dict[str, Any]) -> bool:
    """Whether the process in an owner file ran on this host and has ended; unknown, hence false, for other hosts."""
    if owner.get("host") != socket.gethostname() or not isinstance(owner.get("process"), int):
        return False
    try:
        os.kill(owner["process"], 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # of another user; no number of a process
        return False
    return False


def _no_plain_file(path: Path) -> UserError:
    return UserError(
        f"{path} is a link, a folder or no plain file, and is not written or read: delete it, then run again"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
