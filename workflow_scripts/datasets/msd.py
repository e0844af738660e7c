"""Million Song Dataset with Last.fm tags: the fifty commonest tags for 241,889 previews (Bertin-Mahieux et al., 2011).

Previews, split and tags are the user's: the audio came from a shop, and the published lists state no common licence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from workflow_scripts.audio import safe_unpickle
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse_json
from workflow_scripts.datasets._files import MISSING, clip_table, excluded_table, find_below, published_list
from workflow_scripts.levels.dataset_index import DatasetIndex, Split
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.listing import audio_files
from workflow_scripts.sources.remotes import Remote

LABEL = "Million Song Dataset"
TASK = "multilabel"
#: previews of the published split and their length, for estimates
SIZE = {"clips": 241889, "seconds": 30.0}
BIBTEX = """@inproceedings{bertinmahieux2011million,
  author = {Bertin-Mahieux, Thierry and Ellis, Daniel P. W. and Whitman, Brian and Lamere, Paul},
  title = {The Million Song Dataset},
  booktitle = {Proceedings of the 12th International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2011}
}"""
LICENSE = "Last.fm tags for research only; the audio, previews of 7digital, is not distributed: bring your own copy"
# Lists alone are of no use without the audio, which cannot be downloaded.
REMOTES: dict[str, Remote] = {}

#: the commonest tags of Last.fm, in the column order that all published label arrays share; the thesis prints oos
TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
    "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow",
    "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient",
    "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening",
    "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad",
    "House", "happy",
)  # fmt: skip
TRACK = re.compile(r"TR[A-Z]{5}[0-9A-F]{11}")
#: labels and split in one file each: track, tab, fifty numbers in brackets (Pons and Serra, 2019)
TABLES: dict[Split, str] = {"train": "train_gt_msd.tsv", "valid": "val_gt_msd.tsv", "test": "test_gt_msd.tsv"}
#: the same as pickles of Python 2 (Lee and Nam, 2017): training and validation in one list, test, labels by track
TRAIN_LIST, TEST_LIST, VECTORS = "filtered_list_train.cP", "filtered_list_test.cP", "msd_id_to_tag_vector.cP"
TRAINING = 201_680  # tracks of TRAIN_LIST that are training; what follows is validation
PREVIEWS = "MSD_id_to_7D_id.pkl"  # track -> number of its preview
#: the lists, as an error message names them
LISTS = (
    f"{', '.join(TABLES.values())} (from jordipons/musicnn-training) or {TRAIN_LIST}, {TEST_LIST}, {VECTORS} "
    "(from jongpillee/music_dataset_split)"
)


class Options(LevelOptions):
    """No options: one split is read, 201,680 / 11,774 / 28,435, Choi et al.'s (2016) without previews below 29.1 s.

    Spijkervet (2021) counts 241,904 songs, fifteen more than these lists hold.
    """


def index(root: Path, options: Options) -> DatasetIndex:  # noqa: ARG001 - one shape for all data sets
    """Index the tracks of the lists that have an audio file anywhere below `root`, which also holds the lists.

    Files are named by track (`A/A/A/TRAAAAK128F9318786.mp3`) or by preview (`5/5/5504670.clip.mp3`); the latter needs
    `MSD_id_to_7D_id.pkl` too. Lists may lie in a folder of `root`. Each track is its own group: the
    published split is at random, so artists are in all parts. Raises `UserError` when lists or all audio are missing.
    """
    split, labels = read_lists(root)
    files = _files_by_name(root)
    names = _read_preview_names(root, needed=any(name.isdecimal() for name in files))
    rows: dict[str, str] = {}
    excluded: list[tuple[str, str]] = []
    owner: dict[str, str] = {}  # a few tracks share a preview, some of them across the split
    for track in sorted(split):
        path = files.get(track) or files.get(names.get(track, ""))
        if path is None:
            excluded.append((track, MISSING))
        elif path in owner:
            excluded.append((track, f"the same preview as {owner[path]}"))
        else:
            rows[track] = path
            owner[path] = track
    if not rows:
        raise UserError(
            f"{root} holds no audio of its {len(split)} tracks: looked for <track id>.mp3, <7digital id>.mp3 and "
            f"<7digital id>.clip.mp3 in all folders; numbers of 7digital also need {PREVIEWS} (from "
            "jongpillee/music_dataset_split) there"
        )
    clips = list(rows)
    return DatasetIndex(
        task="multilabel",
        clips=clip_table(clip=clips, path=list(rows.values()), split=[split[clip] for clip in clips], group=clips),
        labels=pd.DataFrame(
            np.stack([labels[clip] for clip in clips]), index=pd.Index(clips, name="clip"), columns=list(TAGS)
        ),
        excluded=excluded_table(excluded),
    )


def read_lists(root: Path) -> tuple[dict[str, Split], dict[str, np.ndarray]]:
    """Read split and labels (float32 (50,) of 0 and 1) of every track, from tables or else from pickles.

    Raises `UserError` where a list is missing or damaged.
    """
    tables = {split: path for split, name in TABLES.items() if (path := _find_list(root, name))}
    pickles = [path for name in (TRAIN_LIST, TEST_LIST, VECTORS) if (path := _find_list(root, name))]
    entries: Iterator[tuple[str, Split, object]]
    if len(tables) == len(TABLES):
        entries = itertools.chain.from_iterable(_read_table(path, split) for split, path in tables.items())
    elif len(pickles) == 3:
        entries = _read_pickles(*pickles)
    else:
        raise UserError(f"{root} lacks the lists of split and tags: put {LISTS} there or in a folder of it")
    splits: dict[str, Split] = {}
    labels: dict[str, np.ndarray] = {}
    for track, split, values in entries:
        if track in splits:
            raise UserError(f"{root}: the lists name {track} twice: get the originals")
        splits[track], labels[track] = split, _check_vector(values, track, root)
    return splits, labels


def _read_table(path: Path, split: Split) -> Iterator[tuple[str, Split, object]]:
    with published_list(path), path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            track, _, values = line.partition("\t")
            try:
                yield track, split, parse_json(values)
            except ValueError as error:
                raise UserError(f"{path}, line {number}: not <track> tab [fifty numbers]: get the original") from error


def _read_pickles(train: Path, test: Path, vectors: Path) -> Iterator[tuple[str, Split, object]]:
    listed, tested, labels = (safe_unpickle.read_pickle(path) for path in (train, test, vectors))
    if not isinstance(listed, list) or not isinstance(tested, list) or not isinstance(labels, dict):
        raise UserError(f"{train}, {test.name} and {vectors.name} are not two lists and labels: get the originals")
    parts: tuple[tuple[Split, list], ...] = (
        ("train", listed[:TRAINING]),
        ("valid", listed[TRAINING:]),
        ("test", tested),
    )
    for split, tracks in parts:
        for track in tracks:
            if not isinstance(track, str) or track not in labels:
                raise UserError(f"{vectors} lacks {track}, which a list names: get the originals")
            yield track, split, labels[track]


def _check_vector(values: object, track: str, root: Path) -> np.ndarray:
    try:
        vector = np.asarray(values, dtype=np.float32).reshape(-1)  # some copies hold columns of shape (50, 1)
    except (ValueError, TypeError):
        vector = np.empty(0, np.float32)
    if not TRACK.fullmatch(track) or vector.shape != (len(TAGS),) or not np.isin(vector, (0, 1)).all():
        raise UserError(f"{root}: the lists' entry {track!r} is no track with fifty tags of 0 or 1: get the originals")
    return vector


def _find_list(root: Path, name: str) -> Path | None:
    return find_below(root, name)


def _files_by_name(root: Path) -> dict[str, str]:
    """Map tracks, or numbers of previews, to paths; other audio is ignored."""
    files: dict[str, str] = {}
    for path in audio_files(root):
        name = PurePosixPath(path).name.partition(".")[0]  # previews end in .clip.mp3
        if name.isdecimal() or TRACK.fullmatch(name):
            files.setdefault(name, path)
    return files


def _read_preview_names(root: Path, *, needed: bool) -> dict[str, str]:
    """Read the number of each track's preview; empty where no file is named by one, or the table does not exist."""
    path = _find_list(root, PREVIEWS) if needed else None
    if path is None:
        return {}
    table = safe_unpickle.read_pickle(path)
    if not isinstance(table, dict):
        raise UserError(f"{path} is no table of previews: get the original")
    return {str(track): str(preview) for track, preview in table.items()}
