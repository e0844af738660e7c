"""FMA small and FMA medium: clips of 30 s with a root genre (Defferrard et al., ISMIR 2017).

FMA small has 8,000 clips in 8 balanced genres, split 6,400 / 800 / 800; FMA medium 25,000 in 16 unbalanced ones, split
19,922 / 2,505 / 2,573.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets._files import (
    MISSING,
    audio_by_key,
    clip_table,
    excluded_table,
    find_below,
    one_hot,
    published_list,
)
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.remotes import Remote

LABEL = "FMA"
TASK = "multiclass"
FILE_OPTIONS = ("subset",)
#: catalogue whose tracks the clips are parts of, and how a clip id begins with the number of its track
CATALOGUE = ("Free Music Archive", r"(\d{6})(?!\d)")
BIBTEX = """@inproceedings{defferrard2017fma,
  author = {Defferrard, Micha{\\"e}l and Benzi, Kirell and Vandergheynst, Pierre and Bresson, Xavier},
  title = {{FMA}: A Dataset for Music Analysis},
  booktitle = {Proceedings of the 18th International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2017}
}"""
LICENSE = "metadata CC BY 4.0; audio: each track under the licence its artist chose"
COPIES_ALLOWED = True  # all Creative Commons licences allow copies that are not sold

#: clips of the published sets
CLIPS = {"small": 8000, "medium": 25000}
CLIP_SECONDS = 30.0
#: archives; the checksums are the owner's, from the README of mdeff/fma, the lengths those that hosts of copies state
METADATA = Remote(
    url="https://os.unil.cloud.switch.ch/fma/fma_metadata.zip",
    algorithm="sha1",
    checksum="f0df49ffe5f2a6008d7dc83c6915b31835dfe733",
    bytes=358_412_441,
    unpack=True,
)
_MEDIUM = Remote(
    url="https://os.unil.cloud.switch.ch/fma/fma_medium.zip",
    algorithm="sha1",
    checksum="c67b69ea232021025fca9231fc1c7c1a063ab50b",
    bytes=23_825_005_356,
    one_witness=("bytes",),
    unpack=True,
)
AUDIO = {
    "small": Remote(
        url="https://os.unil.cloud.switch.ch/fma/fma_small.zip",
        algorithm="sha1",
        checksum="ade154f733639d52e35e32f5593efe5be76c6d70",
        bytes=7_679_594_875,
        unpack=True,
        within=_MEDIUM,  # both were cut from the same files
    ),
    "medium": _MEDIUM,
}
SPLITS = {"training": "train", "validation": "valid", "test": "test"}
#: The column `subset` names the smallest subset that holds the track, so a larger subset is a union: `== "medium"`
#: would lose 8,000 tracks.
LARGER = {"small": ("small", "medium", "large"), "medium": ("medium", "large")}  # subsets that hold the clips of one
FULL = "fma_full"  # whole tracks under the same names
SUBSETS = {"small": ("small",), "medium": ("small", "medium")}
COLUMNS = {
    "split": ("set", "split"),
    "subset": ("set", "subset"),
    "genre": ("track", "genre_top"),
    "artist": ("artist", "id"),
}
#: tracks whose clips were cut from the wrong place (mdeff/fma, issues 8 and 44; MIT licence); some hold no audio at all
KNOWN_BAD = frozenset((
    1486, 5574, 65753, 80391, 98558, 98559, 98560, 98565, 98566, 98567, 98568, 98569, 98571, 99134,
    105247, 108924, 108925, 126981, 127336, 133297, 143992,
))  # fmt: skip


class Options(LevelOptions):
    """Options of FMA."""

    subset: Literal["small", "medium"] = "small"
    """Subset whose archive is read."""
    with_small: bool = True
    """Include the 8,000 tracks of FMA small in FMA medium, as the official definition does (the table labels them
    `small`); false: only the other 17,000, the subset in the README of the MSSPT code. Garoufis et al. (2024) report
    results on all 25,000."""


def size(options: Options) -> Mapping[str, float]:
    """Return clips of the published set and their length in seconds, for estimates."""
    return {"clips": CLIPS[options.subset], "seconds": CLIP_SECONDS}


def remotes(options: Options) -> Mapping[str, Remote]:
    """Return the archives of the subset."""
    return {"metadata": METADATA, "audio": AUDIO[options.subset]}


def index(root: Path, options: Options) -> DatasetIndex:
    """Index a subset from `tracks.csv`, with the official artist-disjoint split.

    `root` holds `fma_metadata/` and `fma_<subset>/`, or the folder of a larger subset, whose clips are the same. Audio
    may also lie in any other folder but `fma_full`, whose tracks are whole, and in other formats. Raises `UserError`
    when the metadata or all audio is missing.
    """
    subset = options.subset
    marks = SUBSETS[subset] if options.with_small else (subset,)
    tracks = read_tracks(_find_metadata(root))
    tracks = tracks[tracks["subset"].isin(marks)].sort_index()
    files = audio_by_key(root, _clip_of, first=[f"fma_{name}" for name in LARGER[subset]])
    rows: list[tuple[str, str]] = []
    excluded: list[tuple[str, str]] = []
    for track, genre, split in zip(tracks.index, tracks["genre"], tracks["split"], strict=True):
        clip = f"{track:06d}"
        path = files.get(clip)
        reason = _why_unusable(track, genre=genre, split=split, path=path)
        if reason is None and path is not None:
            rows.append((clip, path))
        else:
            excluded.append((clip, reason or MISSING))
    if not rows:
        raise UserError(
            f"{root} holds no audio of FMA {subset}: looked for fma_{subset}/000/000002.mp3, fma_large/000/000002.mp3 "
            "and 000002.wav in all folders but fma_full, which has no clips"
        )
    kept = tracks.loc[[int(clip) for clip, _ in rows]]
    clips = [clip for clip, _ in rows]
    return DatasetIndex(
        task="multiclass",
        clips=clip_table(
            clip=clips,
            path=[path for _, path in rows],
            split=[SPLITS[split] for split in kept["split"]],
            group=[
                f"artist{artist}" if artist else f"track{clip}"
                for artist, clip in zip(kept["artist"], clips, strict=True)
            ],
        ),
        labels=one_hot(list(kept["genre"]), classes=sorted(set(tracks["genre"]) - {""}), clips=clips),
        excluded=excluded_table(excluded),
    )


def read_tracks(path: Path) -> pd.DataFrame:
    """Read split, subset, genre and artist (strings, empty where unknown) of every track, indexed by track id.

    The file has two header rows and then a third line that only names the index. Raises `UserError` when a column is
    missing.
    """
    with published_list(path):
        table = _read_columns(path)
    if table.index.has_duplicates:
        raise UserError(f"{path} names a track twice: get the original")
    return table


def _read_columns(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        outer, inner, third = (next(reader, []) for _ in range(3))
    positions = {pair: i for i, pair in enumerate(zip(outer, inner, strict=False))}
    missing = [f"{outer}/{inner}" for outer, inner in COLUMNS.values() if (outer, inner) not in positions]
    if missing:
        raise UserError(
            f"{path} lacks {', '.join(missing)}: use tracks.csv of fma_metadata.zip, which has two header rows"
        )
    columns = {0: "track", **{positions[pair]: name for name, pair in COLUMNS.items()}}
    table = pd.read_csv(
        path,
        header=None,
        skiprows=2 if third and third[0].isdigit() else 3,
        usecols=sorted(columns),
        dtype=str,
        keep_default_na=False,
        encoding="utf-8",
    ).rename(columns=columns)
    table.index = pd.Index(table.pop("track").astype(int), name="track")
    return table


def _clip_of(path: PurePosixPath) -> str:
    return "" if FULL in path.parts else path.stem


def _find_metadata(root: Path) -> Path:
    beside = root.parent / "fma_metadata" / "tracks.csv"
    if path := find_below(root, "tracks.csv") or (beside if beside.is_file() else None):
        return path
    raise UserError(f"{root} lacks fma_metadata/tracks.csv: unpack fma_metadata.zip there")


def _why_unusable(track: int, *, genre: str, split: str, path: str | None) -> str | None:
    if track in KNOWN_BAD:
        return "known bad clip: cut from the wrong place of the track (mdeff/fma issues 8 and 44)"
    if not genre:
        return "the track has no root genre"
    if split not in SPLITS:
        return f"unknown split {split!r}"
    return None if path else MISSING
