"""Downloading one file: resumed where it stopped, checked, and never half there under its own name."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import itertools
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import requests
import urllib3

from workflow_scripts.core.errors import PassingError, UserError
from workflow_scripts.core.files import require_space, write_text, written_atomically
from workflow_scripts.core.progress import track
from workflow_scripts.sources.remotes import Remote

CHUNK_BYTES = 1 << 16  # what a dropped connection can lose
PROGRESS_BYTES = 1 << 20  # progress counts mebibytes
TIMEOUT_SECONDS = (20.0, 60.0)  # to connect, to the next byte
ATTEMPTS = 6  # in a row without getting further: with the pauses below about a minute
MIN_PROGRESS_BYTES = 1 << 16  # that count as getting further; a server that gives less each time gives nothing
MIN_BYTES_PER_SECOND = 1000.0  # a quarter of an old modem: the server has forgotten us
SPEED_WINDOW_SECONDS = 60.0  # over which the speed is taken, as long as a pause between two bytes may be
MAX_UNSTATED_BYTES = 10 << 30  # of a file whose length nobody states: archives that large come with theirs
FIRST_PAUSE_SECONDS = 2.0  # doubled each time
MAX_PAUSE_SECONDS = 600.0  # a server that asks for more is asked again by the user, later
TEMPORARY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP answers that may be different next time
BY_HAND = "fetch it by hand and use `source: local`"
HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|title|meta|script|body)\b", re.IGNORECASE)
CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)", re.ASCII)
LENGTH = re.compile(r"\d{1,18}", re.ASCII)


class _RetryableError(Exception):
    """The attempt failed in a way that may pass; `seconds` is what the server asked to wait."""

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


def download(remote: Remote, folder: Path, *, pause: Callable[[float], None] = time.sleep) -> Path:
    """Fetch `remote` into `folder` and return its path; a file that is there already and passes the checks is kept.

    What has come is kept as `<name>.part` and continued next time. `pause` waits between attempts. Raises `UserError`.
    """
    target = folder / remote.name
    if target.is_file() and _find_fault(remote, target) is None:
        return target
    if remote.parts:
        return _join_parts(remote, folder, pause=pause)
    part = _PartialFile(target)
    require_space(folder, max(0, (remote.bytes or 0) - part.size))
    resumed = part.size > 0
    _fetch(remote, part, pause=pause)
    fault = _find_fault(remote, part.path)
    if fault is not None and resumed:  # the beginning may be of another version or damaged: once more from the start
        part.clear()
        _fetch(remote, part, pause=pause)
        fault = _find_fault(remote, part.path)
    if fault is not None:
        part.clear()
        raise UserError(f"{remote.url}: {fault}; the file was changed or damaged: try again later or {BY_HAND}")
    part.path.replace(target)
    part.clear()
    return target


def _join_parts(remote: Remote, folder: Path, *, pause: Callable[[float], None]) -> Path:
    """Fetch the parts of `remote`, each kept until the file they make has passed the checks."""
    paths = [download(part, folder, pause=pause) for part in remote.parts]
    target = folder / remote.name
    require_space(folder, sum(path.stat().st_size for path in paths))
    with written_atomically(target) as temporary:
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
    """The unfinished file, and the mark by which the server tells whether its file is still the same."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._mark = target.with_name(f"{target.name}.part.version")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> str | None:
        return self._mark.read_text(encoding="utf-8") if self._mark.is_file() else None

    def start(self, version: str | None) -> None:
        """Begin anew with a file of this version."""
        self.clear()
        if version:
            write_text(self._mark, version)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)


def _fetch(remote: Remote, part: _PartialFile, *, pause: Callable[[float], None]) -> None:
    """Ask until the whole file is in `part`, with growing pauses; attempts that get further start the count anew."""
    failures, furthest = 0, part.size
    with requests.Session() as session:
        while True:
            try:
                _attempt(session, remote, part)
                return
            except (_RetryableError, requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                if isinstance(error, ValueError):  # requests' way to say that an address is wrong, ours or a redirect's
                    raise UserError(f"{remote.url}: {error}: correct the address") from error
                failures = 1 if part.size >= furthest + MIN_PROGRESS_BYTES else failures + 1
                furthest = max(furthest, part.size)
                asked = error.seconds if isinstance(error, _RetryableError) else None
                if failures >= ATTEMPTS:
                    raise PassingError(
                        f"{remote.url}: gave up after {failures} attempts ({_describe_failure(error)}); what has come "
                        f"is kept, run again to go on, or {BY_HAND}"
                    ) from error
                wait = FIRST_PAUSE_SECONDS * 2 ** (failures - 1) if asked is None else asked
                if wait > MAX_PAUSE_SECONDS:
                    raise UserError(
                        f"{remote.url}: the server asks to wait {wait / 60:.0f} minutes: run again then"
                    ) from error
                pause(wait)


def _attempt(session: requests.Session, remote: Remote, part: _PartialFile) -> None:
    """One request, appended to `part`; returns when the file is complete as far as the server says."""
    have = part.size
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges count the file's own bytes
    if have:
        headers["Range"] = f"bytes={have}-"
        if part.version:
            headers["If-Range"] = part.version
    with session.get(remote.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        start, total = _parse_span(response)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if have and total == have:
                return
            part.clear()
            raise _RetryableError("the server refused to continue the file")
        _require_success(response, remote)
        if remote.checksum is None and remote.url.startswith("https:") and not response.url.startswith("https:"):
            raise UserError(f"{remote.url}: the server leads to {response.url}, where anybody could answer: {BY_HAND}")
        if start not in {have, 0}:
            part.clear()
            raise _RetryableError("the server sent another part of the file than asked for")
        if remote.bytes is not None and total is not None and total != remote.bytes:
            raise UserError(
                f"{remote.url}: has {total} bytes, expected {remote.bytes}; the file was changed: {BY_HAND}"
            )
        require_space(part.path.parent, max(0, (total or 0) - start))
        # not iter_content, which would undo an encoding that some servers wrongly state for .tgz files
        chunks = _read_body(response.raw, remote, start=start, longest=total or remote.bytes)
        first = next(chunks, b"")
        if start == 0:
            _refuse_web_page(first, remote)
            part.start(_validator(response))
        _append(itertools.chain([first], chunks), part.path, remote.name, total=total)
    expected = total if total is not None else remote.bytes
    if expected is not None and part.size < expected:
        raise _RetryableError(f"the connection ended at {part.size} of {expected} bytes")


def _read_body(
    raw: urllib3.response.BaseHTTPResponse, remote: Remote, *, start: int, longest: int | None
) -> Iterator[bytes]:
    """Pieces of the body as they come; an endless or endlessly slow one is given up."""
    allowed = MAX_UNSTATED_BYTES if longest is None else longest
    position, since, at = start, time.monotonic(), start
    while chunk := raw.read1(CHUNK_BYTES, decode_content=False):
        position += len(chunk)
        if position > allowed:
            raise UserError(f"{remote.url}: sends more than the {allowed} bytes expected of it: {BY_HAND}")
        yield chunk
        seconds = time.monotonic() - since
        if seconds > SPEED_WINDOW_SECONDS:
            if position - at < MIN_BYTES_PER_SECOND * seconds:
                raise _RetryableError(f"the server sent {position - at} bytes in {seconds:.0f} s")
            since, at = time.monotonic(), position


def _append(chunks: Iterable[bytes], path: Path, name: str, *, total: int | None) -> None:
    with path.open("ab") as file:
        mebibytes = _write_chunks(chunks, file.write)
        if total is not None:
            left = (total - file.tell()) // PROGRESS_BYTES
            mebibytes = track(mebibytes, description=f"downloading {name} (MiB)", total=left)
        for _ in mebibytes:
            continue


def _write_chunks(chunks: Iterable[bytes], write: Callable[[bytes], object]) -> Iterator[None]:
    """Write the chunks, yielding at every whole mebibyte."""
    done = 0
    for chunk in chunks:
        write(chunk)
        before, done = done, done + len(chunk)
        yield from (None for _ in range(done // PROGRESS_BYTES - before // PROGRESS_BYTES))


def _refuse_web_page(start: bytes, remote: Remote) -> None:
    if HTML.match(start) and not remote.name.endswith((".html", ".htm", ".xml")):
        raise UserError(f"{remote.url}: a web page came instead of the file, it may ask for a login: {BY_HAND}")


def _parse_span(response: requests.Response) -> tuple[int, int | None]:
    """First byte of the answer within the file, and the length of the file if stated."""
    match = CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if match and response.status_code != requests.codes.ok:
        first, total = match.groups()
        return int(first or 0), None if total == "*" else int(total)
    if response.status_code == requests.codes.partial_content:
        return -1, None  # a part without saying which: not usable
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if LENGTH.fullmatch(length) else None


def _require_success(response: requests.Response, remote: Remote) -> None:
    status = response.status_code
    if status in TEMPORARY_STATUS:
        asked = _parse_retry_after(response.headers.get("Retry-After"))
        raise _RetryableError(f"the server answered {status} {response.reason}", seconds=asked)
    if status not in (requests.codes.ok, requests.codes.partial_content):
        raise UserError(f"{remote.url}: the server answered {status} {response.reason}: {BY_HAND}")


def _parse_retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    with contextlib.suppress(ValueError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _validator(response: requests.Response) -> str | None:
    """Validator for If-Range: a strong entity tag, or the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _find_fault(remote: Remote, path: Path) -> str | None:
    """What is wrong with a complete file; None if nothing is."""
    size = path.stat().st_size if path.is_file() else 0
    if remote.bytes is not None and size != remote.bytes:
        return f"{size} bytes came, expected {remote.bytes}"
    if remote.algorithm is None or remote.checksum is None:
        return None if size else "it is empty"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, remote.algorithm).hexdigest()
    return (
        None if found == remote.checksum.lower() else f"its {remote.algorithm} is {found}, expected {remote.checksum}"
    )


def _describe_failure(error: Exception) -> str:
    if isinstance(error, _RetryableError):
        return str(error)
    if isinstance(error, requests.TooManyRedirects):
        return "the server redirects in a circle"
    return f"{type(error).__name__}: the connection failed or was dropped"
