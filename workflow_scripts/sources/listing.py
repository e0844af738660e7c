"""Files below the folder of a data set: which are audio, by name or by their first bytes, and how many are not."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn

from workflow_scripts.audio.structure.mpeg import HEADER_BYTES, parse_header
from workflow_scripts.core.errors import UserError

#: suffixes that soundfile or ffmpeg may decode
AUDIO_SUFFIXES = frozenset((
    ".wav", ".wave", ".w64", ".rf64", ".flac", ".mp3", ".mp2", ".ogg", ".oga", ".oggflac", ".opus", ".spx", ".m4a",
    ".m4b", ".mp4", ".mkv", ".mov", ".aac", ".ac3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".wma", ".webm",
    ".mka", ".wv", ".ape",
))  # fmt: skip
#: suffixes of files that are not opened to see whether they are audio: a data set may hold a million of them; the last
#: line is of copies and of what a download has not finished
OTHER_SUFFIXES = frozenset((
    ".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".jams", ".xml", ".yaml", ".yml", ".html", ".htm", ".pdf",
    ".jpg", ".jpeg", ".png", ".gif", ".svg", ".bmp", ".webp", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z",
    ".rar", ".m3u", ".m3u8", ".pls", ".cue", ".nfo", ".log", ".sfv", ".md5", ".lab", ".lrc", ".textgrid", ".beats",
    ".mid", ".midi", ".npy", ".npz", ".h5", ".hdf5", ".mat", ".pkl", ".parquet", ".pt", ".py", ".ipynb", ".db", ".ini",
    ".part", ".partial", ".crdownload", ".tmp", ".bak",
))  # fmt: skip
#: first bytes of sound files and of the containers that ffmpeg reads; an mp4 states a brand, which may be of pictures
AUDIO_START = re.compile(
    rb"RIFF....(?:WAVE|AVI )|RIFX|RF64|BW64|riff\x2e\x91|FORM....(?:AIF[FC]|8SVX)|fLaC|OggS|ID3[\x02-\x04]|\.snd|caff"
    rb"|....ftyp(?!hei|hev|avif|mif|msf)|\x1aE\xdf\xa3|wvpk|MAC |TTA1|MP\+|MPCK|DSD |FRM8|#!AMR|\x0bw|\.RMF|tBaK"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11|Creative Voice|\xff[\xf0\xf1\xf8\xf9]",
    re.DOTALL,
)
PLAIN_SUFFIX = re.compile(r"\.\w{1,8}", re.ASCII)  # others are part of a name, as in "No. 5"
NO_SUFFIX = "without a suffix"
SUFFIXES_SHOWN = 6  # the commonest; most folders hold fewer
START_BYTES = 16  # as many as are looked at


@dataclass(frozen=True)
class FolderListing:
    """Files below a folder as posix paths relative to it: `audio` and `hidden`, sorted, and how many `others`.

    `others` counts the files that are no audio by suffix. Files in hidden folders are in none of these; the folders are
    in `hidden`, with a slash at the end.
    """

    audio: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def describe_unused(self, used: Collection[str]) -> str:
        """Describe in words which files are not among the `used`: how many of each kind; empty if none."""
        audio = [path for path in self.audio if escape_bytes(path) not in used]
        parts = [f"{len(audio):,} audio such as {audio[0]!r}"] if audio else []
        kinds = sorted(self.others.items(), key=lambda item: (-item[1], item[0]))
        parts += [f"{count:,} {suffix}" for suffix, count in kinds[:SUFFIXES_SHOWN]]
        rest = sum(count for _, count in kinds[SUFFIXES_SHOWN:])
        parts += [f"{rest:,} of other kinds"] if rest else []
        parts += [f"{len(self.hidden):,} hidden such as {self.hidden[0]!r}"] if self.hidden else []
        return ", ".join(parts)


def escape_bytes(path: str) -> str:
    """Return a path in valid Unicode; bytes of names that are not are escaped."""
    return path.encode("utf-8", "backslashreplace").decode()


def audio_files(root: Path) -> list[str]:
    """List the audio files below `root` as sorted posix paths relative to it. Raises `UserError` as `list_folder`."""
    return list_folder(root).audio


def is_file(path: Path | str) -> bool:
    """Return whether a path is a file; one that is too long for any file system, or holds a NUL, is none."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - takes text, which is faster than Path
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False


def list_folder(root: Path) -> FolderListing:
    """List the files below `root`; links are followed, folders visited once.

    Raises `UserError` when `root` is not a folder, `OSError` for a folder below it that cannot be read.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder that holds the audio")
    listing = FolderListing()
    for prefix, name in walk_files(root):
        suffix = PurePosixPath(name).suffix.lower()
        if name.startswith("."):
            listing.hidden.append(prefix + name)
        elif suffix in AUDIO_SUFFIXES or (suffix not in OTHER_SUFFIXES and _begins_as_audio(f"{root}/{prefix}{name}")):
            listing.audio.append(prefix + name)
        else:
            listing.others[suffix if PLAIN_SUFFIX.fullmatch(suffix) else NO_SUFFIX] += 1
    listing.audio.sort()
    listing.hidden.sort()
    return listing


def walk_files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the folder and the name of each file, sorted within a folder; of a hidden folder its own name and a slash.

    Links are followed, folders visited once. Raises `OSError` for a folder that cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_raise):
        # os.walk gives strings; a Path per folder doubles the time for a million files
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if relative == "." else f"{relative}/"
        yield from ((prefix, name) for name in sorted(names))
        yield from ((prefix, f"{name}/") for name in folders if name.startswith("."))
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _raise(error: OSError) -> NoReturn:
    raise error


def _begins_as_audio(path: str) -> bool:
    if not os.path.isfile(path):  # noqa: PTH113 - a pipe would block; a Path per file is slow
        return False
    with open(path, "rb") as file:  # noqa: PTH123
        start = file.read(START_BYTES)
    frame = parse_header(start[:HEADER_BYTES])  # layer I begins like a text in UTF-16
    return AUDIO_START.match(start) is not None or (frame is not None and frame.layer > 1)
