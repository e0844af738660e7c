"""Checksums: the SHA-256 of every file that a job wrote, in the JSON file that it writes last, its record.

Every reader of an upstream result compares them before it uses the file, so that a damaged or replaced one is noticed
whatever its time stamp. A record also holds a checksum of its own content.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.file_digests import digest_file
from workflow_scripts.core.files import write_json
from workflow_scripts.core.result_files import file_to_delete, record_of

CHECKSUMS, OWN = "sha256", "this record"  # entry of a record, and its key for the record's own content
# Bytes: smaller files are read whole at every check, in some hundredths of a second. Larger ones, such as the audio of
# a corpus, are read once, and again only if their status has changed since.
SMALL = 1 << 24

#: reader of a record, which returns None where there is none
FindRecord = Callable[[Path], dict[str, Any] | None]


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file; that of a large file is remembered in a hidden file beside it."""
    status = _status(path)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        noted = json.loads(_note(path).read_text(encoding="utf-8")) if status[0] > SMALL else {}
        if noted["status"] == status:
            return str(noted[CHECKSUMS])
    value = digest_file(path)
    _remember(path, value, status)
    return value


def remember_checksum(path: Path, value: str) -> None:
    """Remember the checksum of a file that this job has written, so that nobody needs to read a large one for it."""
    _remember(path, value, _status(path))


def checksums(*paths: Path) -> dict[str, str]:
    """Return the checksums of files by their names."""
    return {path.name: checksum(path) for path in paths}


def write_record(path: Path, content: Mapping[str, Any], *, files: Mapping[str, str]) -> None:
    """Write the record of a job. `files` are the checksums of its other outputs by name, which lie beside it."""
    write_json(path, add_checksums(content, files))


def add_checksums(content: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a record with the checksums of files by name, and with its own."""
    content = {**content, CHECKSUMS: dict(files)}
    content[CHECKSUMS][OWN] = _hash_content(content)
    return content


def read_record(path: Path) -> dict[str, Any]:
    """Read a record. Raises `UserError` if it is missing, damaged, changed or without checksums."""
    try:
        return parse_record(path.read_text(encoding="utf-8"), path)
    except PermissionError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _error(path, "is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _error(path, "is damaged") from error


def parse_record(text: str, path: Path) -> dict[str, Any]:
    """Parse the text of the record at `path`. Raises `UserError` as `read_record` does."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _error(path, "is damaged") from error
    if not isinstance(content, dict):
        raise _error(path, "is damaged")
    recorded = content.get(CHECKSUMS)
    if not isinstance(recorded, dict) or OWN not in recorded:
        raise _error(path, "was written by an earlier version, without checksums")
    if recorded[OWN] != _hash_content(content):
        raise _error(path, "is not as its job wrote it")
    return content


def find_record(path: Path) -> dict[str, Any] | None:
    """Read a record as `read_record` does; None if there is none."""
    return read_record(path) if path.exists() else None


def require_unchanged(path: Path, *, record: Path | None = None) -> str:
    """Return the checksum of a result; raise `UserError` if it is missing or not the file that its job wrote.

    `record` is the record of that job (that of `result_files.record_of`).
    """
    record = record or record_of(path)
    recorded = read_record(record)[CHECKSUMS].get(path.name)
    try:
        actual = checksum(path)
    except PermissionError:
        raise
    except OSError as error:  # missing, or a folder
        raise _error(path, "is missing") from error
    if recorded is None:
        raise _error(path, f"was written by an earlier version: {record.name} has no checksum of it")
    if actual != recorded:
        raise _error(path, f"is not the file that its job wrote: it has another checksum than {record.name} states")
    return actual


def _error(path: Path, fault: str) -> UserError:
    target = file_to_delete(path)
    if target == path:
        return UserError(f"{path} {fault}: {'delete it and ' if path.exists() else ''}run again")
    return UserError(f"{path} {fault}: delete {target} and run again")


def _remember(path: Path, value: str, status: list[int]) -> None:
    with contextlib.suppress(OSError):  # a folder that only its owner may write to: each job reads the whole file
        if status[0] > SMALL:
            write_json(_note(path), {CHECKSUMS: value, "status": status})


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name}.checksum")


def _hash_content(content: Mapping[str, Any]) -> str:
    """Return the checksum of a record's content without this checksum itself, whatever the order of its keys."""
    others = {name: value for name, value in content[CHECKSUMS].items() if name != OWN}
    plain = json.loads(json.dumps({**content, CHECKSUMS: others}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _status(path: Path) -> list[int]:
    """Return what changes with a file's content or with the file itself; nobody can set the time of a change back."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
