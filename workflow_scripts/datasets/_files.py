"""Files that lists name, and the tables of an index."""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import MAX_REASON, UserError
from workflow_scripts.levels.dataset_index import CLIP_COLUMNS, EXCLUDED_COLUMNS
from workflow_scripts.sources.listing import audio_files, is_file

MAX_LINE_BYTES = 1 << 16  # pandas takes minutes over a header of a hundred thousand equal names
#: reason for a clip whose audio file does not exist
MISSING = "the audio file is missing"


@contextlib.contextmanager
def published_list(path: Path) -> Iterator[None]:
    """Turn what a damaged list raises while it is read into a `UserError` that names it."""
    try:
        with path.open("rb") as file:
            if len(file.readline(MAX_LINE_BYTES)) == MAX_LINE_BYTES:
                raise ValueError("its first line is longer than that of any list")
        yield
    except (UserError, PermissionError):
        raise
    except Exception as error:  # pandas and decoding raise many kinds
        raise UserError(
            f"{path} cannot be read ({textwrap.shorten(str(error), MAX_REASON)}): get the original"
        ) from error


def first_existing(root: Path, candidates: list[str]) -> str | None:
    """Return the first of the relative paths that is a file below `root`."""
    return next((path for path in candidates if is_file(root / path)), None)


def find_below(root: Path, name: str) -> Path | None:
    """Return the path of a list in `root` or, the first in order, in a folder of it."""
    if is_file(root / name) or not root.is_dir():
        return root / name if root.is_dir() else None
    with os.scandir(root) as entries:  # which may be a million files
        folders = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
    return next((root / folder / name for folder in folders if is_file(root / folder / name)), None)


def audio_by_key(root: Path, key: Callable[[PurePosixPath], str], *, first: Sequence[str] = ()) -> dict[str, str]:
    """Map what `key` makes of the relative paths of audio files to these, wherever below `root` they are.

    Of several files with one key that in the folder named earliest in `first` is taken, then the nearest to `root`,
    then the first in order.
    """
    starts = [f"{folder}/" for folder in first]

    def rank(path: str) -> int:
        return next((place for place, start in enumerate(starts) if path.startswith(start)), len(starts))

    paths = sorted(audio_files(root), key=lambda path: (rank(path), path.count("/"), path))
    files: dict[str, str] = {}
    for path in paths:
        files.setdefault(key(PurePosixPath(path)), path)
    return files


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
