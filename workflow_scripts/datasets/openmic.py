"""OpenMIC-2018: presence of 20 instruments in 20,000 clips of 10 s, mostly unobserved (Humphrey et al., 2018)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.audio import safe_unpickle
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets._files import (
    MISSING,
    audio_by_key,
    clip_table,
    excluded_table,
    find_below,
    published_list,
)
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.remotes import Remote

LABEL = "OpenMIC"
TASK = "multilabel"
#: clips of the published set and their length, for estimates
SIZE = {"clips": 20000, "seconds": 10.0}
#: catalogue whose tracks the clips are parts of, and how a clip id begins with the number of its track
CATALOGUE = ("Free Music Archive", r"(\d{6})(?!\d)")
BIBTEX = """@inproceedings{humphrey2018openmic,
  author = {Humphrey, Eric J. and Durand, Simon and McFee, Brian},
  title = {{OpenMIC-2018}: An Open Data-set for Multiple Instrument Recognition},
  booktitle = {Proceedings of the 19th International Society for Music Information Retrieval Conference (ISMIR)},
  year = {2018}
}"""
LICENSE = "CC BY 4.0; audio: each track under its Creative Commons licence (named in the metadata)"
COPIES_ALLOWED = True  # all Creative Commons licences allow copies that are not sold
REMOTES = {
    "all": Remote(
        url="https://zenodo.org/records/1432913/files/openmic-2018-v1.0.0.tgz",
        algorithm="md5",
        checksum="e4ccf187e2bb5ab2e115416e8aafe7f4",
        bytes=2_623_376_754,
        one_witness=("bytes",),
        unpack=True,
    )
}

RELEVANCES = ("openmic-2018-aggregated-labels.csv", "openmic-2018.npz")  # of the same content, the first preferred
#: class-map.json's names, in its order
CLASSES = (
    "accordion", "banjo", "bass", "cello", "clarinet", "cymbals", "drums", "flute", "guitar", "mallet_percussion",
    "mandolin", "organ", "piano", "saxophone", "synthesizer", "trombone", "trumpet", "ukulele", "violin", "voice",
)  # fmt: skip
PRESENT = 0.5  # a clip has the instrument from this relevance on (official notebook: >=)
#: labels the owners corrected by hand after ten source files had been found broken (README, errata)
CORRECTED = {"095253_134400": "piano", "095263_96000": "mallet_percussion", "113025_99840": "trumpet"}
#: clips of one recording that the metadata gives two artists (cosmir/openmic-2018#24): the first two pairs are equal,
#: the third nearly so; the official partitions keep them together
DOUBLES = (
    ("007954_184320", "120195_184320"),
    ("074658_372480", "074328_372480"),
    ("021334_11520", "020898_11520"),
)
#: official split files: named one way in the README, the other way in the notebook and mirdata
PARTITIONS = {"train": ("split01_train.csv", "train01.txt"), "test": ("split01_test.csv", "test01.txt")}
# Share of the training clips: there is no official validation, and Wu et al. train on about 11,000 of 14,915.
VALIDATION = 0.25


class Options(LevelOptions):
    """Options of the split."""

    validation: float = Field(default=VALIDATION, gt=0, lt=1)
    """Share of the official training clips that becomes validation, by whole artists."""


def index(root: Path, options: Options) -> DatasetIndex:
    """Index the clips of the official partitions; unobserved labels are NaN.

    The lists are in `root` or in a folder of it, such as `openmic-2018`, the audio anywhere below `root`. Raises
    `UserError` when a list is missing or all audio.
    """
    base = _find_lists(root)
    labels = read_labels(base)
    split = read_partitions(base)
    artists = read_artists(base, split.index)
    split = _splits.carve_validation(split, groups=artists, share=options.validation)
    published = (base / "audio").relative_to(root).as_posix()
    files = audio_by_key(root, lambda path: path.stem, first=[published])
    present = [key for key in split.index if key in files]
    if not present:
        raise UserError(
            f"{root} holds no audio of OpenMIC: looked for audio/000/000046_3840.ogg, 000046_3840.ogg and "
            "000046_3840.wav in all folders"
        )
    return DatasetIndex(
        task="multilabel",
        clips=clip_table(
            clip=present,
            path=[files[key] for key in present],
            split=split[present],
            group=list(artists[present]),
        ),
        labels=labels.reindex(present),
        excluded=excluded_table([(key, MISSING) for key in sorted(set(split.index) - set(present))]),
    )


def read_labels(base: Path) -> pd.DataFrame:
    """Read labels indexed by sample key: float32 (clips, 20) of 1, 0, or NaN where unobserved.

    They come from the csv; the npz holds the same numbers but needs unpickling, so it is the second choice.
    """
    table, arrays = (base / name for name in RELEVANCES)
    if table.is_file():
        relevance = _read_labels_csv(table)
    elif arrays.is_file():
        relevance = _read_npz(arrays)
    else:
        raise UserError(f"{base} lacks {table.name}: unpack openmic-2018-v1.0.0.tgz there")
    labels = (relevance >= PRESENT).astype("float32").where(relevance.notna())
    for key, instrument in CORRECTED.items():
        if key in labels.index:
            labels.loc[key, instrument] = 1
    return labels.astype("float32")


def read_partitions(base: Path) -> pd.Series:
    """Read train or test by sample key, sorted; `UserError` when a file is missing or a key is in both."""
    split: dict[str, str] = {}
    for name, files in PARTITIONS.items():
        paths = [base / "partitions" / file for file in files if (base / "partitions" / file).is_file()]
        if not paths:
            raise UserError(f"{base / 'partitions'} lacks {' or '.join(files)}")
        with published_list(paths[0]):
            keys = paths[0].read_text(encoding="utf-8").replace('"', "").split()
        if doubled := split.keys() & set(keys):
            raise UserError(f"{paths[0]} repeats {min(doubled)}, which is in training too: get the original")
        split |= dict.fromkeys(keys, name)
    return pd.Series(split, dtype="str").sort_index()


def read_artists(base: Path, keys: pd.Index) -> pd.Series:
    """Read the artist of each key from the metadata; a clip without metadata is its own artist.

    The artists of `DOUBLES` are one, so that no recording is in two splits.
    """
    path = base / "openmic-2018-metadata.csv"
    if not path.is_file():
        raise UserError(f"{base} lacks {path.name}, which keeps artists from being in two splits")
    # by name: sample_key is the last column but one, not the first
    with published_list(path):
        table = pd.read_csv(path, usecols=["sample_key", "artist_id"], dtype=str, keep_default_na=False)
    artist = dict(zip(table["sample_key"], table["artist_id"], strict=True))
    artists = pd.Series([f"artist{artist[key]}" if artist.get(key) else key for key in keys], index=keys)
    for first, second in DOUBLES:
        if first in artists.index and second in artists.index:
            artists[artists == artists[second]] = artists[first]
    return artists


def _find_lists(root: Path) -> Path:
    """Return the folder of the lists; `root`, if they are nowhere."""
    return next((path.parent for name in RELEVANCES if (path := find_below(root, name))), root)


def _read_labels_csv(path: Path) -> pd.DataFrame:
    types = {"sample_key": str, "instrument": str, "relevance": float}
    with published_list(path):
        table = pd.read_csv(path, usecols=list(types), dtype=types, keep_default_na=False)
    table["instrument"] = table["instrument"].str.replace(" ", "_")
    if unknown := sorted(set(table["instrument"]) - set(CLASSES)):
        raise UserError(f"{path} names {unknown[0]!r}, which is none of the 20 instruments")
    wide = table.pivot_table(index="sample_key", columns="instrument", values="relevance", aggfunc="mean")
    return wide.reindex(columns=list(CLASSES)).sort_index()


def _read_npz(path: Path) -> pd.DataFrame:
    arrays = safe_unpickle.read_npz(path, ("Y_true", "Y_mask", "sample_key"))
    relevance = np.where(arrays["Y_mask"], arrays["Y_true"], np.nan)
    return pd.DataFrame(relevance, index=arrays["sample_key"].astype(str), columns=list(CLASSES)).sort_index()
