"""Copy the corpora and features that a job reads to a disk of its node, then run the job on the copies.

    python -m workflow_scripts.stage FOLDER COMMAND ...

The workflow puts this before the commands of jobs if the config states `stage`. It is no part of the jobs' own code, so
nothing runs again because of it: copies are compared with the checksums of the originals, here and by the jobs.

Copies are in FOLDER/prelude-<user's number>; an empty FOLDER is the system's for temporary files (TMPDIR). Their names
are checksums, so all jobs of a user on a node share them. A job holds a lock on what it reads. Copies that no job reads
are removed when room is needed, or after a week. A corpus that does not fit is read where it is.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from workflow_scripts.core.checksums import CHECKSUMS, OWN, read_record, require_unchanged
from workflow_scripts.core.cli import command_parser
from workflow_scripts.core.errors import NOTE, UserError, format_message, run_command
from workflow_scripts.core.result_files import CORPUS_FACTS, RECORD, record_of

#: jobs that read audio again and again or at random; the others read a corpus once, or its labels alone
READERS = frozenset({"weigh", "pretrain", "evaluate_separation", "embed", "evaluate"})
CORPUS, FEATURES, EMBEDDINGS = "--corpus", "--features=", "--embeddings"
LOCK, PARTIAL = ".lock", ".partial"  # beside a copy
MAKER_LOCK = "making.lock"
MOUNTS = Path("/proc/self/mounts")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})  # file systems of diskless nodes: a copy would count as a job's memory
MARGIN_BYTES = 1 << 30  # that stay free, for the temporary files of other jobs
UNUSED_SECONDS = 7 * 24 * 3600.0  # after which a copy is removed: a paper-scale run uses each within days


def main(argv: Sequence[str] | None = None) -> None:
    """Copy what a command reads, and become that command."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not arguments.command:
        parser.error("no command of a job is given")
    os.execvp(arguments.command[0], list(_with_copies(arguments.command, arguments.folder)))


def _with_copies(command: Sequence[str], folder: str) -> Iterator[str]:
    """Yield the words of a command, with the paths of copies in place of those of originals."""
    reads_audio = bool(READERS & set(command)) and EMBEDDINGS not in command
    for before, word in zip(["", *command], command, strict=False):
        if reads_audio and before == CORPUS:
            yield str(_find_copy(Path(word), records=(RECORD, CORPUS_FACTS), folder=folder) or word)
        elif reads_audio and word.startswith(FEATURES):
            _, worker, file = word.split("=", 2)
            copy = _find_copy(Path(file).parent, records=(record_of(Path(file)).name,), folder=folder)
            yield f"{FEATURES}{worker}={copy / Path(file).name if copy else file}"
        else:
            yield word


def _find_copy(original: Path, *, records: Sequence[str], folder: str) -> Path | None:
    """Return a copy of a result, which this process keeps a lock on; None if there can be none, after saying why.

    A result is its records, the last of which are the checksums of its large files, and the files that they name.
    """
    try:
        contents = [read_record(original / record)[CHECKSUMS] for record in records]
        names = sorted({*records, *(name for content in contents for name in content)} - {OWN})
        copy = _own_folder(Path(os.path.expandvars(folder) or tempfile.gettempdir())) / contents[0][OWN]
        _make_copy(original, copy, names=names, records=records)
    except (UserError, OSError) as error:
        line = f"{NOTE}{original / records[-1]} and its files are read where they are, not from a copy on this node"
        print(format_message(f"{line}: {error}"), flush=True)
        return None
    return copy


def _own_folder(parent: Path) -> Path:
    """Return the user's folder of copies; `UserError` if another user could change what is in it."""
    folder = parent / f"prelude-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise UserError(f"{folder} is not a folder that you alone may write to")
    if _find_file_system(folder.resolve()) in IN_MEMORY:
        raise UserError(f"{folder} is in memory, not on a disk")
    return folder


def _find_file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on; empty where the system does not list them."""
    try:
        lines = [line.split() for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    types = {Path(point): kind for _, point, kind, *_ in lines}  # of several at one place the last is seen
    return next((types[path] for path in (folder, *folder.parents) if path in types), "")


def _make_copy(original: Path, copy: Path, *, names: Sequence[str], records: Sequence[str]) -> None:
    """Make a copy unless it is there, whole and unchanged; keep a lock on it, as other readers do, until the job ends.

    One job of a node copies at a time, so that the room it needs stays its own.
    """
    lock = os.open(copy.with_name(copy.name + LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not _is_whole(copy, names=names, records=records):
            with copy.with_name(MAKER_LOCK).open("a") as maker:
                fcntl.flock(maker, fcntl.LOCK_EX)
                if not _is_whole(copy, names=names, records=records):
                    shutil.rmtree(copy, ignore_errors=True)
                    _make_room(copy.parent, needed=sum((original / name).stat().st_size for name in names))
                    _copy_files(original, copy, names=names, records=records)
        os.utime(copy)  # it is in use, and so the last to be removed
    except BaseException:
        os.close(lock)
        raise
    os.set_inheritable(lock, True)  # the job keeps it


def _copy_files(original: Path, copy: Path, *, names: Sequence[str], records: Sequence[str]) -> None:
    partial = copy.with_name(copy.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for name in names:
            shutil.copyfile(original / name, partial / name)
        _require_whole(partial, names=names, records=records)
        partial.rename(copy)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_whole(copy: Path, *, names: Sequence[str], records: Sequence[str]) -> bool:
    with contextlib.suppress(UserError, OSError):
        _require_whole(copy, names=names, records=records)
        return True
    return False


def _require_whole(copy: Path, *, names: Sequence[str], records: Sequence[str]) -> None:
    """Raise `UserError` unless all files are those of the original, by the checksums in its records."""
    for record in records:
        stated = read_record(copy / record)[CHECKSUMS]
        for name in set(names) & set(stated):
            require_unchanged(copy / name, record=copy / record)


def _make_room(folder: Path, *, needed: int) -> None:
    """Remove old copies, and then the longest unused until there is room; `UserError` if there is not enough."""
    for other in sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime):
        is_old = time.time() - other.stat().st_mtime > UNUSED_SECONDS
        if is_old or shutil.disk_usage(folder).free < needed + MARGIN_BYTES:
            _remove_unless_used(other)
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN_BYTES:
        raise UserError(
            f"{folder} has {free / 1e9:.1f} GB free and {(needed + MARGIN_BYTES) / 1e9:.1f} GB are needed there"
        )


def _remove_unless_used(copy: Path) -> None:
    lock = copy.with_name(copy.name.removesuffix(PARTIAL) + LOCK)
    with lock.open("a") as handle, contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(copy, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("stage", __doc__)
    parser.add_argument("folder", metavar="FOLDER", help="on a disk of the node; empty: the one for temporary files")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="command of the job")
    return parser


if __name__ == "__main__":
    run_command(main)
