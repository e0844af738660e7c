"""Any folder of audio: a corpus for pre-training, or a labelled set by folder names or by a csv."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, Self

import pandas as pd
from pydantic import model_validator

from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets._files import MISSING, audio_files, clip_table, excluded_table, is_audio, one_hot
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.remotes import Remote

LABEL = "audio folder"
TASK = "by options"  # the option `labels` decides whether there are labels, and of which kind
SIZE = None  # unknown before it is prepared
BIBTEX = ""
LICENSE = "that of your audio"
REMOTES: dict[str, Remote] = {}

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    "test": "test",
}
#: validation share of the training clips where the csv has only train and test: that of 70/15/15
VALIDATION = _splits.DEFAULT_SHARES["valid"] / (_splits.DEFAULT_SHARES["valid"] + _splits.DEFAULT_SHARES["train"])


class Options(LevelOptions):
    """Options of the source of the labels.

    A split or group column that does not exist counts as empty.
    """

    labels: Literal["none", "folders", "csv"] = "none"
    """`none` (a corpus for pre-training), `folders` (the first folder below the root is the class) or `csv`."""
    csv: str | None = None
    """Path of the csv, from the root or the working directory; paths inside it are relative to the csv's own folder,
    and rows outside the root are passed over."""
    multilabel: bool = False
    """Whether a clip can have several labels; otherwise the first of several is the class."""
    separators: str = "|;"
    """Characters between the labels of a clip."""
    path_column: str = "path"
    """Column of the paths of the audio files."""
    label_column: str = "labels"
    """Column of the labels."""
    split_column: str = "split"
    """Column of the split: train, valid or test."""
    group_column: str = "group"
    """Column of the groups, such as artists, that must not be in two splits."""

    @model_validator(mode="after")
    def _require_agreement(self) -> Self:
        """Raise `ValueError` for contradictions."""
        if (self.labels == "csv") != (self.csv is not None):
            raise ValueError("folder: labels: csv and csv: <path of the csv> belong together")
        if self.multilabel and self.labels != "csv":
            raise ValueError("folder: multilabel needs labels: csv")
        return self


def index(root: Path, options: Options) -> DatasetIndex:
    """Index the audio below `root`; missing parts of a split are drawn by whole groups, whatever the files' order.

    Without labels 5 % of the clips are validation; with labels and no split 70/15/15, stratified; with train and test
    alone, validation is carved from train. Raises `UserError` for an unusable csv, a group in two splits, or no audio.
    """
    if options.labels == "csv":
        return _from_csv(root, options)
    files, unnamed = _separate_unencodable(audio_files(root))
    if not files:
        raise UserError(f"{root} holds no audio files")
    if options.labels == "folders":
        return _from_folders(root, files, unnamed)
    return DatasetIndex(
        task="unlabelled",
        clips=clip_table(clip=files, path=files, split=_splits.split_by_hash(files), group=files),
        labels=pd.DataFrame(index=pd.Index(files, name="clip")),
        excluded=excluded_table(unnamed),
    )


def _separate_unencodable(files: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Separate file names that are valid Unicode from those that no table can hold, with the reason."""
    good = [file for file in files if _encodable(file)]
    odd = [file.encode("utf-8", "backslashreplace").decode() for file in files if not _encodable(file)]
    return good, [(file, "the file name is not valid Unicode") for file in odd]


def _encodable(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _from_folders(root: Path, files: list[str], excluded: list[tuple[str, str]]) -> DatasetIndex:
    kept = [file for file in files if "/" in file]
    excluded = excluded + [(file, "not in the folder of a class") for file in files if "/" not in file]
    if not kept:
        raise UserError(f"{root} has no folders: labels: folders needs one folder per class")
    labels = [file.split("/")[0] for file in kept]
    return DatasetIndex(
        task="multiclass",
        clips=clip_table(clip=kept, path=kept, split=_splits.split_by_group(kept, classes=labels), group=kept),
        labels=one_hot(labels, classes=sorted(set(labels)), clips=kept),
        excluded=excluded_table(excluded),
    )


def _from_csv(root: Path, options: Options) -> DatasetIndex:
    table = _read_rows(root, options)
    excluded = [(clip, MISSING) for clip in table["clip"][~table["exists"]]]
    excluded += [
        (clip, "no label in the csv") for clip in table["clip"][table["exists"] & (table["labels"].str.len() == 0)]
    ]
    table = table[table["exists"] & (table["labels"].str.len() > 0)].reset_index(drop=True)
    has_split = table["split"] != ""
    if has_split.any():
        excluded += [(clip, "no split in the csv") for clip in table["clip"][~has_split]]
        table = table[has_split].reset_index(drop=True)
    if table.empty:
        raise UserError(f"{options.csv} labels no audio file in {root}: paths in it count from its own folder")
    clips, labels = list(table["clip"]), [items[0] for items in table["labels"]]
    return DatasetIndex(
        task="multilabel" if options.multilabel else "multiclass",
        clips=clip_table(
            clip=clips, path=clips, split=_split_of_rows(table, labels, options), group=list(table["group"])
        ),
        labels=_multi_hot(table) if options.multilabel else one_hot(labels, classes=sorted(set(labels)), clips=clips),
        excluded=excluded_table(excluded),
    )


def _read_rows(root: Path, options: Options) -> pd.DataFrame:
    """Read the rows of the csv below the root, sorted by clip: clip, labels (tuple), split, group, and if it exists."""
    path = _find_csv(root, str(options.csv))
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} cannot be read as a csv ({error})") from error
    for column in (options.path_column, options.label_column):
        if column not in table:
            raise UserError(
                f"{path} has no column {column}: it has {', '.join(table.columns)}; see path_column, label_column"
            )
    clips = [_relative_path(root.resolve(), path.parent.resolve(), name) for name in table[options.path_column]]
    empty = pd.Series("", index=table.index)
    rows = pd.DataFrame(
        {
            "clip": clips,
            "labels": [_parse_labels(text, options) for text in table[options.label_column]],
            "split": [_parse_split(name, path) for name in table.get(options.split_column, empty)],
            "group": [str(group).strip() for group in table.get(options.group_column, empty)],
        }
    )
    rows = rows[[is_audio(clip.rpartition("/")[2]) for clip in rows["clip"]]]
    rows = rows.sort_values("clip").reset_index(drop=True)
    if rows["clip"].duplicated().any():
        raise UserError(f"{path} names {rows['clip'][rows['clip'].duplicated()].iloc[0]} twice: keep one row per file")
    rows["group"] = rows["group"].where(rows["group"] != "", rows["clip"])
    rows["exists"] = [(root / clip).is_file() for clip in rows["clip"]]
    return rows


def _find_csv(root: Path, name: str) -> Path:
    for path in (root / name, Path(name)):
        if path.is_file():
            return path
    raise UserError(f"there is no csv {name}, neither in {root} nor from the working directory")


def _relative_path(root: Path, folder: Path, name: str) -> str:
    """Return the path, relative to `root`, of a path relative to `folder`; empty when it is elsewhere."""
    path = Path(os.path.normpath(folder / name.strip()))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""


def _parse_labels(text: str, options: Options) -> tuple[str, ...]:
    """Parse the labels of a row. A class ``instrument=violin`` is ``violin``; several labels keep their names."""
    items = (
        [item.strip() for item in re.split(f"[{re.escape(options.separators)}]", text)]
        if options.separators
        else [text.strip()]
    )
    items = [item for item in items if item]
    return tuple(items) if options.multilabel else tuple(item.rpartition("=")[2] for item in items[:1])


def _parse_split(name: str, path: Path) -> str:
    name = name.strip().lower()
    if name and name not in SPLIT_NAMES:
        raise UserError(f"{path} has the split {name!r}; allowed: {', '.join(SPLIT_NAMES)}, or none")
    return SPLIT_NAMES.get(name, "")


def _split_of_rows(table: pd.DataFrame, labels: list[str], options: Options) -> list[str] | pd.Series:
    stated = set(table["split"])
    if stated == {""}:
        return list(_splits.split_by_group(list(table["group"]), classes=labels))
    per_group = table.groupby("group")["split"].nunique()
    if (per_group > 1).any():
        raise UserError(f"{options.csv}: group {per_group.idxmax()} is in two splits: put each group into one")
    if stated == {"train", "test"}:
        return _splits.carve_validation(table["split"], groups=table["group"], classes=labels, share=VALIDATION)
    return table["split"]


def _multi_hot(table: pd.DataFrame) -> pd.DataFrame:
    classes = sorted({item for items in table["labels"] for item in items})
    rows = [[float(label in items) for label in classes] for items in table["labels"]]
    return pd.DataFrame(rows, index=pd.Index(table["clip"], name="clip"), columns=classes, dtype="float32")
