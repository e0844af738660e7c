"""Audio files below a folder, and the tables of an index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import CLIP_COLUMNS, EXCLUDED_COLUMNS

#: reason for a clip whose audio file does not exist
MISSING = "the audio file is missing"
#: suffixes that soundfile or ffmpeg may decode; every other file (README, csv, picture) is ignored
SUFFIXES = frozenset((
    ".wav", ".wave", ".w64", ".rf64", ".flac", ".mp3", ".mp2", ".ogg", ".oga", ".oggflac", ".opus", ".spx", ".m4a",
    ".mp4", ".aac", ".ac3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".wma", ".webm", ".mka", ".wv", ".ape",
))  # fmt: skip


def is_audio(name: str) -> bool:
    """Return whether a file name has a suffix of audio; hidden files and macOS's ``._`` companions do not count."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES


def audio_files(root: Path) -> list[str]:
    """List the audio files below `root` as sorted posix paths relative to it; links are followed, folders visited once.

    Raises `UserError` when `root` is not a folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder that holds the audio")
    return sorted(_walk(root))


def _walk(root: Path) -> Iterator[str]:
    visited: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        # os.walk gives strings; a Path per folder doubles the time for a million files
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if relative == "." else f"{relative}/"
        yield from (prefix + name for name in names if is_audio(name))


def first_existing(root: Path, candidates: list[str]) -> str | None:
    """Return the first of the relative paths that is a file below `root`."""
    return next((path for path in candidates if (root / path).is_file()), None)


def clip_table(
    *,
    clip: list[str],
    path: list[str],
    split: Sequence[str] | pd.Series,
    group: list[str],
) -> pd.DataFrame:
    """Build the table of an index's clips, in the given order; every clip is a whole file."""
    table = pd.DataFrame({"clip": clip, "path": path, "split": list(split), "group": group})
    table["start_seconds"] = table["end_seconds"] = float("nan")
    return table[list(CLIP_COLUMNS)]


def excluded_table(rows: list[tuple[str, str]]) -> pd.DataFrame:
    """Build an index's table of excluded clips from (clip, reason) pairs, sorted."""
    return pd.DataFrame(sorted(rows), columns=list(EXCLUDED_COLUMNS), dtype=object)


def one_hot(labels_of_clips: list[str], *, classes: list[str], clips: list[str]) -> pd.DataFrame:
    """Build the labels of a multi-class set: float32 (clips, classes), one 1 per row, indexed by clip id."""
    column = {label: i for i, label in enumerate(classes)}
    labels = np.zeros((len(clips), len(classes)), np.float32)
    labels[np.arange(len(clips)), [column[label] for label in labels_of_clips]] = 1
    return pd.DataFrame(labels, index=pd.Index(clips, name="clip"), columns=classes)
