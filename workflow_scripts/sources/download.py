"""Download of one file: resumed after an interruption, checked, and complete whenever it has its final name."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import itertools
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import requests
import urllib3

from workflow_scripts.core.errors import NOTE, TemporaryError, UserError, format_message
from workflow_scripts.core.files import open_plain, read_note, require_space, write_atomically, write_text
from workflow_scripts.core.progress import track
from workflow_scripts.sources.connection import (
    BY_HAND,
    NO_INTERNET,
    PROXY,
    TIMEOUT_SECONDS,
    WHERE_INTERNET_IS,
    PublicSession,
    describe_failure,
    describe_final,
)
from workflow_scripts.sources.remotes import Remote

CHUNK_BYTES = 1 << 16  # lost at most by a dropped connection
PROGRESS_BYTES = 1 << 20  # progress counts mebibytes
ATTEMPTS = 6  # in a row without progress: with the pauses below about a minute
MIN_PROGRESS_BYTES = 1 << 16  # that count as progress: a server that sends less per attempt never completes the file
MIN_BYTES_PER_SECOND = 1000.0  # a quarter of an old modem's: the connection is as good as dead
SPEED_WINDOW_SECONDS = 60.0  # over which the speed is measured; as long as the pause allowed between two bytes
MAX_UNSTATED_BYTES = 10 << 30  # of a file whose length is stated nowhere: larger archives state theirs
MAX_EXCESS = 2  # times the length that a single source states: another version of a file is hardly longer
FIRST_PAUSE_SECONDS = 2.0  # doubled after each failure
MAX_PAUSE_SECONDS = 600.0  # if a server asks for a longer one, the user has to run again later
#: HTTP status codes that may differ at the next attempt; 403 is how Zenodo words that there were too many requests
TEMPORARY_STATUS = frozenset({403, 408, 425, 429, 500, 502, 503, 504})
OFFLINE_REMEDY = f"{WHERE_INTERNET_IS}, or "
PROXY_REMEDY = "correct the variable, or "
#: what to do about a status that stays
REMEDIES = {
    requests.codes.forbidden: "the host refuses this network or program, for now or for good: run again later, or ",
    requests.codes.too_many_requests: "the host asks for fewer requests: run again in some hours, or ",
    requests.codes.proxy_authentication_required: (
        "the proxy asks for a login: name it as https_proxy=http://USER:PASSWORD@HOST:PORT (http_proxy likewise), or "
    ),
}
HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--.*?-->|<\?xml[^>]*>)*<(?:!doctype html|html|head|title|meta|script|body)\b",
    re.IGNORECASE | re.DOTALL,
)
MESSAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*[<{\[]")  # XML or JSON, in which storage services word their refusals
MARKUP = (".html", ".htm", ".xml", ".json")
CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)", re.ASCII)
LENGTH = re.compile(r"\d{1,18}", re.ASCII)


class _RetryableError(Exception):
    """A temporary failure of an attempt; `seconds` is the pause asked for by the server, `remedy` begins the advice."""

    def __init__(self, message: str, *, seconds: float | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.seconds, self.remedy = seconds, remedy


@dataclass(frozen=True, kw_only=True)
class Check:
    """Comparison of a file with what is stated about it.

    `fault` is a reason to refuse it. `doubts` are differences from what a single public source states.
    """

    fault: str | None = None
    doubts: tuple[str, ...] = ()


def download(remote: Remote, folder: Path, *, pause: Callable[[float], None] = time.sleep) -> Path:
    """Fetch `remote` into `folder` and return its path; an existing file that passes the checks is kept.

    Mirrors are asked first, then the owner's address or parts. An incomplete file is kept as `<name>.part` and resumed
    next time. `pause` waits between attempts. The caller holds a lock on the file. Raises `TemporaryError` after
    `ATTEMPTS` failures in a row and `UserError` for everything that will not pass by itself.
    """
    target = folder / remote.name
    if target.is_file():
        check = check_file(remote, target)
        if check.fault is None:
            warn_of(check, target)
            return target
        print_note(f"{target}: {check.fault}: it is fetched again")
    remove_partials(remote.name, folder)
    for url in remote.mirrors:
        try:
            return _download_from(url, remote, folder, pause=pause)
        except UserError as error:
            print_note(f"{error}; the next address is asked")
    if remote.parts:
        return _join_parts(remote, folder, pause=pause)
    return _download_from(remote.url, remote, folder, pause=pause)


def remove_partials(name: str, folder: Path) -> None:
    """Remove what killed jobs left of a file while they wrote it: as large as the file."""
    for leftover in folder.glob(f".{name}.*.partial*"):
        leftover.unlink(missing_ok=True)


def take_copy(remote: Remote) -> Path | None:
    """Return the user's copy of a file, None if the config names none. Raises `UserError` for one that differs."""
    if not remote.copy:
        return None
    path = Path(remote.copy)
    check = check_file(remote, path)
    if check.fault is not None:
        raise UserError(
            f"{path}: {check.fault}: it is not the published {remote.name}; get the file again, or remove `archive` of "
            "its data set from `sources`, so that it is downloaded"
        )
    warn_of(check, path)
    return path


def _download_from(url: str, remote: Remote, folder: Path, *, pause: Callable[[float], None]) -> Path:
    """Fetch `remote` as one file from `url`."""
    remote, target = replace(remote, url=url), folder / remote.name
    partial = _PartialFile(target)
    require_space(folder, max(0, (remote.bytes or 0) - partial.size))
    resumed = partial.size > 0
    _fetch(remote, partial, pause=pause)
    check = check_file(remote, partial.path)
    if resumed and (check.fault or check.doubts):  # its start may be damaged or of another version
        partial.clear()
        _fetch(remote, partial, pause=pause)
        check = check_file(remote, partial.path)
    if check.fault is not None:
        partial.clear()
        raise UserError(f"{url}: {check.fault}; the file was changed or damaged: try again later or {BY_HAND}")
    warn_of(check, url)
    partial.path.replace(target)
    partial.clear()
    return target


def _join_parts(remote: Remote, folder: Path, *, pause: Callable[[float], None]) -> Path:
    """Fetch the parts of `remote` and join them; parts are kept until the joined file has passed the checks."""
    paths = [take_copy(part) or download(part, folder, pause=pause) for part in remote.parts]
    target = folder / remote.name
    require_space(folder, sum(path.stat().st_size for path in paths))
    with write_atomically(target) as temporary:
        with temporary.open("wb") as file:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, file, PROGRESS_BYTES)
        check = check_file(remote, temporary)
        if check.fault is not None:
            raise UserError(
                f"{remote.name}, joined from {len(paths)} parts: {check.fault}; delete them in {folder} or {BY_HAND}"
            )
        warn_of(check, target)
    for path in paths:
        if path.parent == folder:
            path.unlink()
    return target


def warn_of(check: Check, path: Path | str) -> None:
    """Print the doubts about a file that is used all the same."""
    for doubt in check.doubts:
        print_note(f"{path}: {doubt}, as the one public source known states: the file is used all the same")


def print_note(text: str) -> None:
    """Print what a user should know although it stops nothing."""
    print(format_message(f"{NOTE}{text}"), file=sys.stderr, flush=True)


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


def _fetch(remote: Remote, partial: _PartialFile, *, pause: Callable[[float], None]) -> None:
    """Repeat requests, with growing pauses, until the file is complete; progress resets the count of failures."""
    failures, largest = 0, partial.size
    with PublicSession() as session:
        while True:
            try:
                _attempt(session, remote, partial)
                return
            except (_RetryableError, requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                if (final := describe_final(error, remote.url)) is not None:
                    raise UserError(final) from error
                failures = 1 if partial.size >= largest + MIN_PROGRESS_BYTES else failures + 1
                largest = max(largest, partial.size)
                pause(_choose_pause(error, remote.url, failures, is_part_kept=partial.size > 0))


def _choose_pause(error: Exception, url: str, failures: int, *, is_part_kept: bool) -> float:
    """Return the seconds to wait: at least those the server asks for. Raises `TemporaryError` if it is not worth it."""
    if not isinstance(error, _RetryableError):
        reason = describe_failure(error, url)
        remedy = OFFLINE_REMEDY if reason.endswith(NO_INTERNET) else ""
        error = _RetryableError(reason, remedy=PROXY_REMEDY if PROXY in reason else remedy)
    requested = error.seconds
    if requested is not None and requested > MAX_PAUSE_SECONDS:
        raise TemporaryError(
            f"{url}: {error}, and the server asks to wait {requested / 60:.0f} minutes: run again then, or {BY_HAND}"
        ) from error
    if failures >= ATTEMPTS:
        kept, again = ("; the part received is kept", "to resume") if is_part_kept else ("", "later")
        raise TemporaryError(
            f"{url}: gave up after {failures} attempts ({error}){kept}: "
            f"{error.remedy or f'run again {again}, or '}{BY_HAND}"
        ) from error
    return max(requested or 0.0, FIRST_PAUSE_SECONDS * 2 ** (failures - 1))


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
        start, total = parse_span(response)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if received and total == received:
                return
            partial.clear()
            raise _RetryableError("the server refused to continue the file")
        _require_success(response, remote)
        if start not in {received, 0}:
            partial.clear()
            raise _RetryableError("the server sent another part of the file than requested")
        # not iter_content, which would undo an encoding that some servers wrongly state for .tgz files
        chunks = _read_body(response.raw, remote, start=start, longest=total or _longest(remote))
        first = next(chunks, b"")
        if start == 0:  # a page has another length than the file, but that is not what is wrong
            _refuse_web_page(first, remote)
        if _stated_bytes(remote) is not None and total not in (None, remote.bytes):
            raise UserError(
                f"{remote.url}: has {total} bytes, expected {remote.bytes}; the file was changed: {BY_HAND}"
            )
        require_space(partial.path.parent, max(0, (total or 0) - start))
        if start == 0:
            partial.start(_read_validator(response))
        _append(itertools.chain([first], chunks), partial, remote.name, total=total)
    expected = total if total is not None else remote.bytes
    if expected is not None and partial.size < expected:
        raise _RetryableError(f"the connection ended at {partial.size} of {expected} bytes")


def _stated_bytes(remote: Remote) -> int | None:
    """Return the length that a file must have, None if it is not known for sure."""
    return None if "bytes" in remote.one_witness else remote.bytes


def _longest(remote: Remote) -> int | None:
    """Return the length beyond which a body is not that of the file; None if nothing is known."""
    return MAX_EXCESS * remote.bytes if remote.bytes and "bytes" in remote.one_witness else remote.bytes


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
    # a checksum that is sure tells a message from a file that happens to begin like one
    is_checked = remote.checksum is not None and "checksum" not in remote.one_witness
    is_page = HTML.match(start) or (not is_checked and MESSAGE.match(start))
    if is_page and not remote.name.endswith(MARKUP):
        raise UserError(
            f"{remote.url}: the server sent a web page instead of the file, perhaps a login or a refusal: {BY_HAND}"
        )


def parse_span(response: requests.Response) -> tuple[int, int | None]:
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
    answer, remedy = f"the server answered {status} {response.reason}", REMEDIES.get(status, "")
    if status in TEMPORARY_STATUS:
        requested = _parse_retry_after(response.headers.get("Retry-After"))
        raise _RetryableError(answer, seconds=requested, remedy=remedy)
    if status not in (requests.codes.ok, requests.codes.partial_content):
        raise UserError(f"{remote.url}: {answer}: {remedy}{BY_HAND}")


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


def check_file(remote: Remote, path: Path) -> Check:
    """Compare a complete file with what is stated about `remote`."""
    size = path.stat().st_size if path.is_file() else 0
    if not size:
        return Check(fault="it is empty")
    differences: dict[str, str] = {}
    if remote.bytes is not None and size != remote.bytes:
        differences["bytes"] = f"{size} bytes received, expected {remote.bytes}"
    if "bytes" in differences and "bytes" not in remote.one_witness:
        return Check(fault=differences["bytes"])  # a checksum would be read in vain
    fault = None
    if remote.algorithm is None or remote.checksum is None:
        fault = _find_wrong_start(remote, path)
    else:
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, remote.algorithm).hexdigest()
        if checksum != remote.checksum.lower():
            differences["checksum"] = f"its {remote.algorithm} is {checksum}, expected {remote.checksum}"
    faults = [fault, *(text for fact, text in differences.items() if fact not in remote.one_witness)]
    doubts = tuple(text for fact, text in differences.items() if fact in remote.one_witness)
    return Check(fault=next(filter(None, faults), None), doubts=doubts)


def _find_wrong_start(remote: Remote, path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(CHUNK_BYTES)
    # a table may quote its columns, and begin with a byte order mark
    if start.lstrip(b'\xef\xbb\xbf"').startswith(remote.begins.encode()):
        return None
    return f"it does not begin with {remote.begins!r}, so it is another file or a message of the server"
