"""Any folder of audio: a corpus for pre-training, or a labelled set by folder names or by a csv.

Names of classes and groups are normalised, so that two ways to write an accent are one name.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import pandas as pd
from pydantic import model_validator

from workflow_scripts.core import csv_table
from workflow_scripts.core.csv_table import REMEDY, SHOWN, CsvTable, read_csv_table
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.escapes import as_seen, shorten
from workflow_scripts.core.validation import suggest
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets._files import MISSING, clip_table, excluded_table, one_hot
from workflow_scripts.levels.dataset_index import DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.listing import escape_bytes, is_file, list_folder
from workflow_scripts.sources.remotes import Remote

LABEL = "audio folder"
TASK = "by options"  # the option `labels` decides whether there are labels, and of which kind
SIZE = None  # unknown before it is prepared
BIBTEX = ""
LICENSE = "that of your audio"
REMOTES: dict[str, Remote] = {}
FILE_OPTIONS = ("csv",)

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    "test": "test",
}
#: validation share of the training clips where the csv has only train and test: that of 70/15/15
VALIDATION = _splits.DEFAULT_SHARES["valid"] / (_splits.DEFAULT_SHARES["valid"] + _splits.DEFAULT_SHARES["train"])


class Options(LevelOptions):
    """Options of the source of the labels.

    Columns are looked up whatever their case. A column that is stated must exist.
    """

    labels: Literal["none", "folders", "csv"] = "none"
    """`none` (a corpus for pre-training), `folders` (the first folder below the root is the class) or `csv`."""
    csv: str | None = None
    """Path of the csv, from the root or the working directory, in the root or in a folder above it; paths inside it
    are relative to the csv's own folder, and rows outside the root are passed over."""
    multilabel: bool = False
    """Whether a clip can have several labels; otherwise the first of several is the class."""
    separators: str = "|;"
    """Characters between the labels of a clip."""
    path_column: str = "path"
    """Column of the paths of the audio files."""
    label_column: str = "labels"
    """Column of the labels."""
    split_column: str = "split"
    """Column of the split: train, valid or test; empty: none."""
    group_column: str = "group"
    """Column of the groups, such as artists, that must not be in two splits; empty: none."""

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
    listing = list_folder(root)
    files, unnamed = _separate_unencodable(listing.audio)
    if not files:
        raise UserError(f"{root} holds no audio files ({listing.describe_unused(()) or 'it is empty'})")
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
    odd = [escape_bytes(file) for file in files if escape_bytes(file) != file]
    return [file for file in files if escape_bytes(file) == file], [
        (file, "the file name is not valid Unicode") for file in odd
    ]


def _from_folders(root: Path, files: list[str], excluded: list[tuple[str, str]]) -> DatasetIndex:
    kept = [file for file in files if "/" in file]
    excluded = excluded + [(file, "not in the folder of a class") for file in files if "/" not in file]
    if not kept:
        raise UserError(f"{root} has no folders: labels: folders needs one folder per class")
    labels = [unicodedata.normalize("NFC", file.split("/")[0]) for file in kept]
    empty = sorted(
        {path.name for path in root.iterdir() if path.is_dir() and path.name[0] != "."}
        - {file.split("/")[0] for file in files}
    )
    return DatasetIndex(
        task="multiclass",
        clips=clip_table(clip=kept, path=kept, split=_splits.split_by_group(kept, classes=labels), group=kept),
        labels=one_hot(labels, classes=sorted(set(labels)), clips=kept),
        excluded=excluded_table(excluded),
        notes=(
            *((f"no audio in the folders {', '.join(map(repr, empty))}",) if empty else ()),
            *_note_look_alikes("classes", labels),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row of the csv: the path as stated and from the root (None: elsewhere), and what is stated of the file."""

    stated: str
    file: str | None
    exists: bool
    labels: tuple[str, ...]
    split: str
    group: str

    def fault(self, *, needs_split: bool) -> str | None:
        """Return the reason why the row's file is no clip, or None."""
        if not self.exists:
            return MISSING
        if not self.labels:
            return "no label in the csv"
        return "no split in the csv" if needs_split and not self.split else None


def _from_csv(root: Path, options: Options) -> DatasetIndex:
    table = read_csv_table(_find_csv(root, str(options.csv)), columns=(options.path_column, options.label_column))
    rows, unnamed = _read_rows(root, table, options)
    inside = sorted((row for row in rows if row.file is not None), key=lambda row: str(row.file))
    needs_split = any(row.split for row in inside)
    faults = [(row, row.fault(needs_split=needs_split)) for row in inside]
    kept = [row for row, fault in faults if fault is None]
    if not kept:
        raise UserError(_describe_no_clips(root, table, rows, faults))
    clips, labels = [str(row.file) for row in kept], [row.labels[0] for row in kept]
    return DatasetIndex(
        task="multilabel" if options.multilabel else "multiclass",
        clips=clip_table(
            clip=clips,
            path=clips,
            split=_split_of_rows(kept, labels, table.path),
            group=[row.group or clip for row, clip in zip(kept, clips, strict=True)],
        ),
        labels=_multi_hot(kept, clips)
        if options.multilabel
        else one_hot(labels, classes=sorted(set(labels)), clips=clips),
        excluded=excluded_table(unnamed + [(str(row.file), fault) for row, fault in faults if fault is not None]),
        notes=(
            *_csv_notes(table, options, outside=len(rows) - len(inside), has_splits=needs_split),
            *(() if options.multilabel else _note_unused_labels(kept)),
            *_note_look_alikes("classes", [label for row in kept for label in row.labels]),
            *_note_look_alikes("groups", [row.group for row in kept]),
        ),
    )


def _describe_no_clips(root: Path, table: CsvTable, rows: list[_Row], faults: Sequence[tuple[_Row, str | None]]) -> str:
    """State why a csv has no clip, with the first row that shows it."""
    if not rows:
        return f"{table.path} labels no audio file: it has no rows with a path"
    of_files = [(row, fault) for row, fault in faults if row.exists]
    if of_files:
        row, fault = of_files[0]
        return f"{table.path} labels none of its {len(of_files):,} files in {root}; the first, {row.file!r}: {fault}"
    return (
        f"none of the {len(rows):,} files in {table.path} is in {root}; the first is "
        f"{shorten(rows[0].stated, SHOWN)!r}: paths count from the folder of the csv, and case matters"
    )


def _find_csv(root: Path, name: str) -> Path:
    """Return the path of the csv: from the root or the working directory, in the root or in a folder above it.

    Raises `UserError` if there is none; elsewhere an option could read any file of the machine.
    """
    path = next((path for path in (root / name, Path(name)) if is_file(path)), None)
    if path is None:
        raise UserError(
            f"there is no csv {name}, neither in {root} nor from the working directory; correct options.csv"
        )
    resolved = root.resolve()
    for folder in (path.parent.resolve(), path.resolve().parent):  # of its name, and of the file if that is a link
        if not folder.is_relative_to(resolved) and not resolved.is_relative_to(folder):
            raise UserError(f"the csv {name} is neither in {root} nor in a folder above it: put it there")
    return path


def _read_rows(root: Path, table: CsvTable, options: Options) -> tuple[list[_Row], list[tuple[str, str]]]:
    """Read the rows that name a file, and the lines that name none, with the reason."""
    base, folder = str(root.resolve()), str(table.path.parent.resolve())
    columns = (
        table.column(options.path_column, option="path_column"),
        table.column(options.label_column, option="label_column"),
        _read_optional(table, options, "split_column"),
        _read_optional(table, options, "group_column"),
    )
    rows, unnamed = [], []
    lines: dict[str, int] = {}
    for line, name, labels, split, group in zip(table.lines, *columns, strict=True):
        if not name.strip():
            unnamed.append((f"line {line} of {table.path.name}", "no path in the csv"))
            continue
        file, exists = _locate(base, folder, name)
        if file is not None and lines.setdefault(file, line) != line:
            raise UserError(
                f"{table.path} names {file} twice, in lines {lines[file]} and {line}: keep one row per file"
            )
        rows.append(
            _Row(
                stated=name.strip(),
                file=file,
                exists=exists,
                labels=_parse_labels(labels, options),
                split=_parse_split(split, table.path),
                group=unicodedata.normalize("NFC", group.strip()),
            )
        )
    return rows, unnamed


def _read_optional(table: CsvTable, options: Options, option: Literal["split_column", "group_column"]) -> list[str]:
    """Return the texts of a column, empty if an option states none, or if the csv lacks one that is not stated."""
    name = getattr(options, option)
    is_absent = option not in options.model_fields_set and not table.has_column(name)
    return [""] * len(table.rows) if is_absent or not name.strip() else table.column(name, option=option)


def _locate(root: str, folder: str, name: str) -> tuple[str | None, bool]:
    """Return the path, relative to `root`, of a path relative to `folder`, and whether it is a file; None: elsewhere.

    If there is no such file, spaces around it do not count, backslashes are slashes, and letters with accents may be
    composed or not.
    """
    slashed = name.strip().replace("\\", "/")
    # most names have one form: text, not Path, which takes five times as long
    forms = dict.fromkeys((name, slashed, *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))))
    for form in forms:
        path = _relative_path(root, folder, form)
        if path is not None and is_file(os.path.join(root, path)):  # noqa: PTH118
            return path, True
    return _relative_path(root, folder, slashed), False


def _relative_path(root: str, folder: str, name: str) -> str | None:
    path = os.path.normpath(os.path.join(folder, name))  # noqa: PTH118
    inside = path == root or path.startswith(root.rstrip("/") + "/")
    return path[len(root) :].lstrip("/") or "." if inside else None


def _csv_notes(table: CsvTable, options: Options, *, outside: int, has_splits: bool) -> tuple[str, ...]:
    notes = []
    groups = options.group_column
    if not has_splits and options.split_column.strip():
        shares = "/".join(f"{100 * share:g}" for share in _splits.DEFAULT_SHARES.values())
        notes.append(f"{_describe_lack(table, options.split_column)}: clips are split {shares}")
    # Where the splits are stated, groups matter less: only a column that may be meant for them is worth a note.
    if groups.strip() and not table.has_column(groups) and (not has_splits or suggest(groups, table.columns)):
        notes.append(f"{_describe_lack(table, groups)}: each clip is a group of its own")
    if outside:
        notes.append(f"{outside:,} of {len(table.rows):,} rows of {table.path.name} name files outside the folder")
    if table.encoding == csv_table.WINDOWS:
        notes.append(
            f"{table.path.name} is not UTF-8 and was read as Windows-1252; if its names look wrong in tables, {REMEDY}"
        )
    return tuple(notes)


def _note_look_alikes(kind: str, names: Iterable[str]) -> Iterator[str]:
    """Yield a note on each set of names that differ only in what cannot be seen, such as two kinds of space."""
    forms: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        forms.setdefault(as_seen(name), []).append(name)
    for alike in forms.values():
        if len(alike) > 1:
            yield f"{kind} that look alike: {', '.join(map(ascii, alike))}; rename all but one if they are the same"


def _note_unused_labels(rows: list[_Row]) -> Iterator[str]:
    several = sum(len(set(row.labels)) > 1 for row in rows)
    if several:
        yield (
            f"{several:,} of {len(rows):,} rows have several labels, of which only the first counts: set multilabel: "
            "true to keep all"
        )


def _describe_lack(table: CsvTable, name: str) -> str:
    if table.has_column(name):
        return f"the column {name} of {table.path.name} is empty"
    return f"{table.path.name} has no column {name}{suggest(name, table.columns)}"


def _parse_labels(text: str, options: Options) -> tuple[str, ...]:
    """Parse the labels of a row. A class ``instrument=violin`` is ``violin``; several labels keep their names."""
    text = unicodedata.normalize("NFC", text)
    items = re.split(f"[{re.escape(options.separators)}]", text) if options.separators else [text]
    names = [item.strip() for item in items if item.strip()]
    if not options.multilabel:
        names = [item.rpartition("=")[2].strip() for item in names]
    return tuple(name for name in names if name)


def _parse_split(name: str, path: Path) -> str:
    name = name.strip()
    if name and name.lower() not in SPLIT_NAMES:
        raise UserError(f"{path} has the split {name!r}; allowed: {', '.join(SPLIT_NAMES)}, or none")
    return SPLIT_NAMES.get(name.lower(), "")


def _split_of_rows(rows: list[_Row], labels: list[str], path: Path) -> list[str] | pd.Series:
    splits = pd.Series([row.split for row in rows], dtype=str)
    groups = pd.Series([row.group or str(row.file) for row in rows], dtype=str)
    stated = set(splits)
    if stated == {""}:
        return list(_splits.split_by_group(list(groups), classes=labels))
    if "train" not in stated:
        raise UserError(f"{path} has no clips in train: mark some rows, or leave the column of splits empty")
    per_group = splits.groupby(groups).nunique()
    if (per_group > 1).any():
        raise UserError(f"{path}: group {per_group.idxmax()} is in two splits: put each group into one")
    if stated == {"train", "test"}:
        return _splits.carve_validation(splits, groups=groups, classes=labels, share=VALIDATION)
    return splits


def _multi_hot(rows: list[_Row], clips: list[str]) -> pd.DataFrame:
    classes = sorted({label for row in rows for label in row.labels})
    values = [[float(label in row.labels) for label in classes] for row in rows]
    return pd.DataFrame(values, index=pd.Index(clips, name="clip"), columns=classes, dtype="float32")
