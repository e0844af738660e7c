"""Safe unpacking of archives: nothing is written outside the target, partially, or beyond a limit of size."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import make_scratch_folder, refuse_links, require_space
from workflow_scripts.core.progress import track

#: unpacked to packed bytes: tables of text shrink to a tenth, audio hardly at all, bombs to a thousandth or less
MAX_RATIO = 100
ALWAYS_ALLOWED_BYTES = 10 << 20  # small archives of repetitive text may shrink further and do no harm
MAX_MEMBERS = 5_000_000  # five times the largest set (a million songs)
BYTES_PER_MEMBER = 32  # of the archive, at least: a zip spends 76 on an empty file, a compressed tar about 60 on a text
ALWAYS_ALLOWED_MEMBERS = 10_000  # empty ones do no harm in this number
FILES_PER_CLIP = 2  # beside those always allowed: OpenMIC has two, audio and features; the others one or none
MAX_FOLDERS = 20_000  # the Million Song Dataset, the set with most, has 18,278: one for each three letters
MAX_NAME = 4096  # letters of a path, as systems limit it
MAX_DEPTH = 64  # folders on the way to a file: several times those of any set
MAX_HEADER_BYTES = 1 << 20  # of a member: its longest part is a path
CHUNK_BYTES = 1 << 20
#: first bytes of compressed tars, and their readers
COMPRESSED: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"]\0\0\x80": lzma.open,
}
ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # with members; empty
ENCRYPTED_FLAG = 0x1  # flag bit of a zip member


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One entry of an archive; `open` gives its bytes."""

    name: str
    is_folder: bool
    size: int
    fault: str | None  # reason to refuse it, whatever its name
    open: Callable[[], IO[bytes]]


@dataclass(kw_only=True)
class _Guard:
    """Checks on the members of an archive, and the bytes it may still write."""

    archive: Path
    allowed_bytes: int
    allowed_members: int
    seen: set[PurePosixPath] = field(default_factory=set)
    folders: set[PurePosixPath] = field(default_factory=set)

    def admit(self, member: _Member) -> PurePosixPath | None:
        """Return the path of the member below the target, None for the target itself. Raises `UserError`."""
        path = PurePosixPath(member.name[: MAX_NAME + 1])
        if len(member.name) > MAX_NAME or len(path.parts) > MAX_DEPTH:
            raise self.refusal("a name in it is too long or lies too many folders deep")
        if not member.name or "\0" in member.name or "\\" in member.name or path.is_absolute() or ".." in path.parts:
            raise self.refusal(f"{member.name!r} would leave the target folder")
        if member.fault:
            raise self.refusal(f"{member.name!r} {member.fault}")
        self.folders.update([path, *path.parents] if member.is_folder else path.parents)
        if len(self.folders) > MAX_FOLDERS:
            raise self.refusal(f"more than {MAX_FOLDERS} folders")
        if member.is_folder:
            return path if path.parts else None
        if not path.parts or path in self.seen:
            raise self.refusal(f"{member.name!r} is there twice")
        self.seen.add(path)
        self.require_members(len(self.seen))
        return path

    def require_members(self, count: int) -> None:
        """Raise `UserError` for more files than the archive may hold."""
        if count > self.allowed_members:
            raise self.refusal(f"more than {self.allowed_members:,} files, too many for its size or for the data set")

    def spend(self, size: int) -> None:
        """Subtract `size` bytes that are read. Raises `UserError` beyond the limit."""
        self.require(size)
        self.allowed_bytes -= size

    def require(self, size: int) -> None:
        """Raise `UserError` if `size` bytes to come are beyond the limit."""
        if size > self.allowed_bytes:
            raise self.refusal("it unpacks to far more than a data set does")

    def refusal(self, reason: str) -> UserError:
        return UserError(
            f"{self.archive} is refused: {reason}; unpack it by hand and use `source: local` if you trust it"
        )


def unpack(archive: Path, target: Path, *, scratch: Path | None = None, clips: float | None = None) -> list[str]:
    """Unpack a zip, tar or compressed tar into the folder `target`, over files of the same names.

    Returns the names of the files and folders at its top.

    `clips`: number of clips of the data set, where it is known; an archive with many times as many files is refused.

    The archive is first unpacked into the folder `scratch`, by default beside `target`, so that a refused or damaged
    one leaves nothing. Links, devices, names outside the target, duplicate names and decompression bombs are refused.
    The caller holds a lock on `target`, or on `scratch`. Raises `UserError`.
    """
    size = archive.stat().st_size
    guard = _Guard(
        archive=archive,
        allowed_bytes=max(ALWAYS_ALLOWED_BYTES, MAX_RATIO * size),
        allowed_members=_limit_members(size, clips),
    )
    target.mkdir(parents=True, exist_ok=True)
    with make_scratch_folder(scratch or target.with_name(f".{target.name}.unpacked")) as temporary:
        require_space(target, size)
        try:
            for member in _read_members(archive, temporary, guard):
                _write_member(member, temporary, guard)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, UnicodeError) as error:
            raise UserError(f"{archive} is damaged ({error}): delete it and acquire the data set again") from error
        except (NotImplementedError, RuntimeError, MemoryError) as error:  # xz may state a dictionary of gigabytes
            raise UserError(f"{archive} cannot be unpacked ({error}): use 7-Zip by hand and `source: local`") from error
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise guard.refusal(f"{error.filename} is a file and a folder at once") from error
        except OSError as error:
            if error.errno in {None, errno.EINVAL}:  # gzip and bz2 on damaged data; zip on an impossible offset
                raise UserError(f"{archive} is damaged ({error}): delete it and acquire the data set again") from error
            if error.errno == errno.ENAMETOOLONG:
                raise guard.refusal("a name in it is too long for this disk") from error
            raise
        _refuse_linked_folders(temporary, target)
        entries = sorted(entry.name for entry in temporary.iterdir())
        _merge_folder(temporary, target)
    return entries


def _limit_members(size: int, clips: float | None) -> int:
    """Return how many files an archive of so many bytes may hold."""
    by_size = max(ALWAYS_ALLOWED_MEMBERS, size // BYTES_PER_MEMBER)
    by_clips = MAX_MEMBERS if clips is None else ALWAYS_ALLOWED_MEMBERS + FILES_PER_CLIP * int(clips)
    return min(MAX_MEMBERS, by_size, by_clips)


def _read_members(archive: Path, folder: Path, guard: _Guard) -> Iterator[_Member]:
    with archive.open("rb") as file:
        signature = file.read(len(ZIP_SIGNATURES[0]))
    if signature in ZIP_SIGNATURES:  # is_zipfile would take a tar that ends in a zip for a zip
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
            guard.require_members(sum(not info.filename.endswith("/") for info in infos))
            total = sum(info.file_size for info in infos)
            guard.spend(total)
            require_space(folder, total)
            for info in track(infos, description=f"unpacking {archive.name}", total=len(infos)):
                yield _describe_zip_member(opened, info)
        return
    with _open_decompressed(archive, signature) as content:
        bounded = _BoundedStream(content, guard)
        with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|") as stream:  # it calls `read` only
            while (entry := stream.next()) is not None:
                cast("Any", stream).members.clear()  # kept for random access, at a kilobyte each
                if entry.issparse():  # kilobytes of them fill a disk
                    raise guard.refusal("it holds a sparse file")
                guard.require(entry.size)
                require_space(folder, entry.size)
                bounded.allow(entry.size)
                yield _describe_tar_member(stream, entry)
                bounded.allow(0)


def _open_decompressed(archive: Path, signature: bytes) -> IO[bytes]:
    """Open a tar, which may be compressed, for reading its own bytes."""
    readers = [reader for start, reader in COMPRESSED.items() if signature.startswith(start[: len(signature)])]
    content: IO[bytes] = readers[0](archive) if signature and readers else archive.open("rb")
    return content


class _BoundedStream:
    """Bytes of a tar. It gives no more than the guard allows, nor more for headers than they need."""

    def __init__(self, stream: IO[bytes], guard: _Guard) -> None:
        self._stream, self._guard, self._left = stream, guard, MAX_HEADER_BYTES

    def allow(self, size: int) -> None:
        """Allow the content of a member, of `size` bytes, and the header behind it."""
        self._left = size + MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes. Raises `UserError` beyond the limits."""
        data = self._stream.read(size)
        self._guard.spend(len(data))
        self._left -= len(data)
        if self._left < 0:
            raise self._guard.refusal("a name or another header in it takes megabytes")
        return data


def _describe_zip_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    is_special = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
    encrypted = "is encrypted" if info.flag_bits & ENCRYPTED_FLAG else None
    return _Member(
        name=info.orig_filename,  # `filename` omits what follows a NUL
        is_folder=info.filename.endswith("/"),  # not is_dir, which fails on an empty name
        size=info.file_size,
        fault="is a link or a device" if is_special else encrypted,
        open=lambda: opened.open(info),
    )


def _describe_tar_member(stream: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    def open_content() -> IO[bytes]:
        content = stream.extractfile(entry)
        assert content is not None  # called for plain files only
        return content

    is_plain = entry.isreg() or entry.isdir()
    fault = None if is_plain else "is a link or a device"
    return _Member(name=entry.name, is_folder=entry.isdir(), size=entry.size, fault=fault, open=open_content)


def _write_member(member: _Member, folder: Path, guard: _Guard) -> None:
    path = guard.admit(member)
    if path is None:
        return
    if member.is_folder:
        (folder / path).mkdir(parents=True, exist_ok=True)
        return
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    with member.open() as content, (folder / path).open("xb") as file:
        shutil.copyfileobj(content, file, CHUNK_BYTES)
    if (folder / path).stat().st_size != member.size:
        raise EOFError(f"{member.name} ends early")


def _refuse_linked_folders(source: Path, target: Path) -> None:
    """Raise `UserError` where a link in `target` has the name of an entry of `source`: it may lead elsewhere."""
    for entry in source.iterdir():
        destination = target / entry.name
        refuse_links(destination, below=target)
        if entry.is_dir() and destination.is_dir():
            _refuse_linked_folders(entry, destination)


def _merge_folder(source: Path, target: Path) -> None:
    """Move the content of `source` into `target`: whole folders if they do not exist there, otherwise file by file."""
    for entry in sorted(source.iterdir()):
        destination = target / entry.name
        if entry.is_dir() and destination.is_dir():
            _merge_folder(entry, destination)
            continue
        if destination.is_dir():
            shutil.rmtree(destination)
        elif entry.is_dir():  # a folder does not replace a file by itself
            destination.unlink(missing_ok=True)
        entry.replace(destination)
