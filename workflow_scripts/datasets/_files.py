"""Audio files below a folder, and what an index says of those that are not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import CLIP_COLUMNS, EXCLUDED_COLUMNS

#: what soundfile or ffmpeg may decode; every other file (README, csv, picture) is passed over in silence
SUFFIXES = frozenset(
    (
        *(
            ".wav",
            ".wave",
            ".w64",
            ".rf64",
            ".flac",
            ".mp3",
            ".mp2",
            ".ogg",
            ".oga",
            ".oggflac",
            ".opus",
            ".spx",
            ".m4a",
        ),
        *(
            ".mp4",
            ".aac",
            ".ac3",
            ".aif",
            ".aiff",
            ".aifc",
            ".au",
            ".snd",
            ".caf",
            ".wma",
            ".webm",
            ".mka",
            ".wv",
            ".ape",
        ),
    )
)


def is_audio(name: str) -> bool:
    """Say whether a file's name ends as audio does; hidden files and macOS's ``._`` companions do not count."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES


def audio_files(root: Path) -> list[str]:
    """Audio files below `root` as sorted posix paths relative to it; links are followed, a folder is visited once.

    Raises `UserError` when `root` is not a folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder that holds the audio")
    return sorted(_walk(root))


def _walk(root: Path) -> Iterator[str]:
    visited: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116 (os.walk gives strings; a Path per folder doubles the time for a million files)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if relative == "." else f"{relative}/"
        yield from (prefix + name for name in names if is_audio(name))


def first_existing(root: Path, candidates: list[str]) -> str | None:
    """First of the relative paths that is a file below `root`."""
    return next((path for path in candidates if (root / path).is_file()), None)


def clip_table(
    *,
    clip: list[str],
    path: list[str],
    split: Sequence[str] | pd.Series,
    group: list[str],
) -> pd.DataFrame:
    """A table with the columns of an index, in the order of the rows given; every clip is a whole file."""
    table = pd.DataFrame({"clip": clip, "path": path, "split": list(split), "group": group})
    table["start_seconds"] = table["end_seconds"] = float("nan")
    return table[list(CLIP_COLUMNS)]


def excluded_table(rows: list[tuple[str, str]]) -> pd.DataFrame:
    """(clip, reason) pairs as an index's `excluded`, sorted."""
    return pd.DataFrame(sorted(rows), columns=list(EXCLUDED_COLUMNS), dtype=object)


def one_hot(kinds: list[str], *, classes: list[str], clips: list[str]) -> pd.DataFrame:
    """Labels of a multi-class set: float32 (clips, classes), one 1 per row, indexed by clip id."""
    number = {kind: i for i, kind in enumerate(classes)}
    labels = np.zeros((len(clips), len(classes)), np.float32)
    labels[np.arange(len(clips)), [number[kind] for kind in kinds]] = 1
    return pd.DataFrame(labels, index=pd.Index(clips, name="clip"), columns=classes)


MISSING = "the audio file is missing"
