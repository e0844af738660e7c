"""Download of one file: resumed after an interruption, checked, and complete whenever it has its final name."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import requests
import urllib3

from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.core.files import open_plain, read_note, require_space, write_atomically, write_text
from workflow_scripts.core.progress import track
from workflow_scripts.sources.remotes import Remote

CHUNK_BYTES = 1 << 16  # lost at most by a dropped connection
PROGRESS_BYTES = 1 << 20  # progress counts mebibytes
TIMEOUT_SECONDS = (20.0, 60.0)  # to connect, and between bytes
ATTEMPTS = 6  # in a row without progress: with the pauses below about a minute
MIN_PROGRESS_BYTES = 1 << 16  # that count as progress: a server that sends less per attempt never completes the file
MIN_BYTES_PER_SECOND = 1000.0  # a quarter of an old modem's: the connection is as good as dead
SPEED_WINDOW_SECONDS = 60.0  # over which the speed is measured; as long as the pause allowed between two bytes
MAX_UNSTATED_BYTES = 10 << 30  # of a file whose length is stated nowhere: larger archives state theirs
FIRST_PAUSE_SECONDS = 2.0  # doubled after each failure
MAX_PAUSE_SECONDS = 600.0  # if a server asks for a longer one, the user has to run again later
#: HTTP status codes that may differ at the next attempt
TEMPORARY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
BY_HAND = "fetch it by hand and use `source: local`"
HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|title|meta|script|body)\b", re.IGNORECASE)
MESSAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*[<{\[]")  # XML or JSON, in which storage services word their refusals
MARKUP = (".html", ".htm", ".xml", ".json")
CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)", re.ASCII)
LENGTH = re.compile(r"\d{1,18}", re.ASCII)


class _RetryableError(Exception):
    """A temporary failure of an attempt; `seconds` is the pause asked for by the server."""

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


def download(remote: Remote, folder: Path, *, pause: Callable[[float], None] = time.sleep) -> Path:
    """Fetch `remote` into `folder` and return its path; an existing file that passes the checks is kept.

    An incomplete file is kept as `<name>.part` and resumed next time. `pause` waits between attempts. Raises
    `TemporaryError` after `ATTEMPTS` failures in a row and `UserError` for everything that will not pass by itself.
    """
    target = folder / remote.name
    if target.is_file() and _find_fault(remote, target) is None:
        return target
    if remote.parts:
        return _join_parts(remote, folder, pause=pause)
    partial = _PartialFile(target)
    require_space(folder, max(0, (remote.bytes or 0) - partial.size))
    resumed = partial.size > 0
    _fetch(remote, partial, pause=pause)
    fault = _find_fault(remote, partial.path)
    if fault is not None and resumed:  # its start may be damaged or of another version: fetch again from the start
        partial.clear()
        _fetch(remote, partial, pause=pause)
        fault = _find_fault(remote, partial.path)
    if fault is not None:
        partial.clear()
        raise UserError(f"{remote.url}: {fault}; the file was changed or damaged: try again later or {BY_HAND}")
    partial.path.replace(target)
    partial.clear()
    return target


def _join_parts(remote: Remote, folder: Path, *, pause: Callable[[float], None]) -> Path:
    """Fetch the parts of `remote` and join them; parts are kept until the joined file has passed the checks."""
    paths = [download(part, folder, pause=pause) for part in remote.parts]
    target = folder / remote.name
    require_space(folder, sum(path.stat().st_size for path in paths))
    with write_atomically(target) as temporary:
        with temporary.open("wb") as file:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, file, PROGRESS_BYTES)
        fault = _find_fault(remote, temporary)
        if fault is not None:
            raise UserError(
                f"{remote.name}, joined from {len(paths)} parts: {fault}; delete them in {folder} or {BY_HAND}"
            )
    for path in paths:
        path.unlink()
    return target


class _PartialFile:
    """An incomplete file, and the validator by which the server recognises the version of its file."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._validator_path = target.with_name(f"{target.name}.part.version")

    @property
    def size(self) -> int:
        """Number of bytes received. Raises `UserError` for a link or a folder in place of the file."""
        try:
            handle = open_plain(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return 0
        with os.fdopen(handle, "rb") as file:
            return file.seek(0, os.SEEK_END)

    @property
    def version(self) -> str | None:
        return read_note(self._validator_path)

    def open(self) -> BinaryIO:
        """Open the file to append to it."""
        return os.fdopen(open_plain(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")

    def start(self, version: str | None) -> None:
        """Start an empty file for this version."""
        self.clear()
        if version:
            write_text(self._validator_path, version)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self._validator_path.unlink(missing_ok=True)


class _PublicSession(requests.Session):
    """Session that sends no credentials and leaves no encrypted connection.

    The files of data sets are public, and `.netrc` would send a password to whatever host an address or a redirect
    names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.auth = lambda request: request  # without one, requests looks into .netrc

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Refuse a redirect to an address that is not encrypted; called before it is followed."""
        prepared_request.headers.pop("Authorization", None)
        if response.url.startswith("https:") and not str(prepared_request.url).startswith("https:"):
            raise UserError(
                f"{response.url}: the server redirects to {prepared_request.url}, which is not encrypted: {BY_HAND}"
            )


def _fetch(remote: Remote, partial: _PartialFile, *, pause: Callable[[float], None]) -> None:
    """Repeat requests, with growing pauses, until the file is complete; progress resets the count of failures."""
    failures, largest = 0, partial.size
    with _PublicSession() as session:
        while True:
            try:
                _attempt(session, remote, partial)
                return
            except (_RetryableError, requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                if isinstance(error, ValueError):  # raised by requests for a wrong address, ours or a redirect's
                    raise UserError(f"{remote.url}: {error}: correct the address") from error
                failures = 1 if partial.size >= largest + MIN_PROGRESS_BYTES else failures + 1
                largest = max(largest, partial.size)
                requested = error.seconds if isinstance(error, _RetryableError) else None
                if failures >= ATTEMPTS:
                    raise TemporaryError(
                        f"{remote.url}: gave up after {failures} attempts ({_describe_failure(error)}); the part "
                        f"received is kept: run again to resume, or {BY_HAND}"
                    ) from error
                wait = FIRST_PAUSE_SECONDS * 2 ** (failures - 1) if requested is None else requested
                if wait > MAX_PAUSE_SECONDS:
                    raise UserError(
                        f"{remote.url}: the server asks to wait {wait / 60:.0f} minutes: run again then"
                    ) from error
                pause(wait)


def _attempt(session: requests.Session, remote: Remote, partial: _PartialFile) -> None:
    """Send one request and append its answer to `partial`; return when the server has sent all it stated.

    Raises `_RetryableError` for temporary failures, `UserError` for others.
    """
    received = partial.size
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges count the file's own bytes
    if received:
        headers["Range"] = f"bytes={received}-"
        if partial.version:
            headers["If-Range"] = partial.version
    with session.get(remote.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        start, total = _parse_span(response)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if received and total == received:
                return
            partial.clear()
            raise _RetryableError("the server refused to continue the file")
        _require_success(response, remote)
        if start not in {received, 0}:
            partial.clear()
            raise _RetryableError("the server sent another part of the file than requested")
        if remote.bytes is not None and total is not None and total != remote.bytes:
            raise UserError(
                f"{remote.url}: has {total} bytes, expected {remote.bytes}; the file was changed: {BY_HAND}"
            )
        require_space(partial.path.parent, max(0, (total or 0) - start))
        # not iter_content, which would undo an encoding that some servers wrongly state for .tgz files
        chunks = _read_body(response.raw, remote, start=start, longest=total or remote.bytes)
        first = next(chunks, b"")
        if start == 0:
            _refuse_web_page(first, remote)
            partial.start(_read_validator(response))
        _append(itertools.chain([first], chunks), partial, remote.name, total=total)
    expected = total if total is not None else remote.bytes
    if expected is not None and partial.size < expected:
        raise _RetryableError(f"the connection ended at {partial.size} of {expected} bytes")


def _read_body(
    raw: urllib3.response.BaseHTTPResponse, remote: Remote, *, start: int, longest: int | None
) -> Iterator[bytes]:
    """Yield the body in chunks. Raises for one that is longer than expected or too slow."""
    allowed = MAX_UNSTATED_BYTES if longest is None else longest
    position, window_start, window_position = start, time.monotonic(), start
    while chunk := raw.read1(CHUNK_BYTES, decode_content=False):
        position += len(chunk)
        if position > allowed:
            raise UserError(f"{remote.url}: sends more than the {allowed} bytes expected: {BY_HAND}")
        yield chunk
        seconds = time.monotonic() - window_start
        if seconds > SPEED_WINDOW_SECONDS:
            if position - window_position < MIN_BYTES_PER_SECOND * seconds:
                raise _RetryableError(f"the server sent {position - window_position} bytes in {seconds:.0f} s")
            window_start, window_position = time.monotonic(), position


def _append(chunks: Iterable[bytes], partial: _PartialFile, name: str, *, total: int | None) -> None:
    with partial.open() as file:
        mebibytes = _write_chunks(chunks, file.write)
        if total is not None:
            left = (total - file.tell()) // PROGRESS_BYTES
            mebibytes = track(mebibytes, description=f"downloading {name} (MiB)", total=left)
        for _ in mebibytes:
            continue


def _write_chunks(chunks: Iterable[bytes], write: Callable[[bytes], object]) -> Iterator[None]:
    """Write the chunks; yield at every whole mebibyte."""
    written = 0
    for chunk in chunks:
        write(chunk)
        before, written = written, written + len(chunk)
        yield from (None for _ in range(written // PROGRESS_BYTES - before // PROGRESS_BYTES))


def _refuse_web_page(start: bytes, remote: Remote) -> None:
    # a checksum tells a message from a file that happens to begin like one
    is_page = HTML.match(start) or (remote.checksum is None and MESSAGE.match(start))
    if is_page and not remote.name.endswith(MARKUP):
        raise UserError(
            f"{remote.url}: the server sent a web page instead of the file, perhaps a login or a refusal: {BY_HAND}"
        )


def _parse_span(response: requests.Response) -> tuple[int, int | None]:
    """Parse the position of the answer's first byte in the file, and the length of the file if stated."""
    match = CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if match and response.status_code != requests.codes.ok:
        first, total = match.groups()
        return int(first or 0), None if total == "*" else int(total)
    if response.status_code == requests.codes.partial_content:
        return -1, None  # a part without its position cannot be used
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if LENGTH.fullmatch(length) else None


def _require_success(response: requests.Response, remote: Remote) -> None:
    status = response.status_code
    if status in TEMPORARY_STATUS:
        requested = _parse_retry_after(response.headers.get("Retry-After"))
        raise _RetryableError(f"the server answered {status} {response.reason}", seconds=requested)
    if status not in (requests.codes.ok, requests.codes.partial_content):
        raise UserError(f"{remote.url}: the server answered {status} {response.reason}: {BY_HAND}")


def _parse_retry_after(value: str | None) -> float | None:
    """Parse a Retry-After header, seconds or a date, to seconds."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    with contextlib.suppress(ValueError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _read_validator(response: requests.Response) -> str | None:
    """Read the validator for If-Range: a strong entity tag, or the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _find_fault(remote: Remote, path: Path) -> str | None:
    """Return the fault of a complete file, or None."""
    size = path.stat().st_size if path.is_file() else 0
    if remote.bytes is not None and size != remote.bytes:
        return f"{size} bytes received, expected {remote.bytes}"
    if remote.algorithm is None or remote.checksum is None:
        return _find_wrong_start(remote, path) if size else "it is empty"
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, remote.algorithm).hexdigest()
    if checksum == remote.checksum.lower():
        return None
    return f"its {remote.algorithm} is {checksum}, expected {remote.checksum}"


def _find_wrong_start(remote: Remote, path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(CHUNK_BYTES)
    # a table may quote its columns, and begin with a byte order mark
    if start.lstrip(b'\xef\xbb\xbf"').startswith(remote.begins.encode()):
        return None
    return f"it does not begin with {remote.begins!r}, so it is another file or a message of the server"


def _describe_failure(error: Exception) -> str:
    if isinstance(error, _RetryableError):
        return str(error)
    if isinstance(error, requests.TooManyRedirects):
        return "the server redirects in a circle"
    return f"{type(error).__name__}: the connection failed or was dropped"
