"""The tidy table of all trials: one row per cell, trial and metric."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Manifest, PlannedCell
from workflow_scripts.statistics.csv_io import Kind, read_csv

#: columns of a trials file; `value` is the metric (rates from 0 to 1), `data_digest` is that of the corpus
COLUMNS = (
    *FACTORS,
    *"trial seed metric value train_clips valid_clips test_clips quarantined".split(),
    *"source code config data_digest device seconds epochs learning_rate".split(),
)
KINDS: dict[str, Kind] = {
    **dict.fromkeys(COLUMNS, "text"),
    **dict.fromkeys(("value", "seconds", "epochs", "learning_rate"), "number"),
    **dict.fromkeys(("trial", "seed", "train_clips", "valid_clips", "test_clips", "quarantined"), "integer"),
}
FIXED_IN_A_CELL = ("source", "data_digest", "test_clips", "quarantined")


@dataclass(frozen=True, kw_only=True)
class AllTrials:
    """All existing trials, sorted, and the cells without any."""

    trials: pd.DataFrame
    missing: tuple[PlannedCell, ...]


def gather(manifest: Manifest, *, leave_out_stale: bool = False) -> AllTrials:
    """Read and check every trials file of `manifest`.

    Raises `UserError` naming the file when it is stale (other code or config than planned), belongs to another cell,
    or is not as `evaluate` wrote it. With `leave_out_stale`, after a run that failed, such files count as missing.
    """
    present = [cell for cell in manifest.cells if cell.path.is_file() and _is_usable(cell, leave_out_stale)]
    trials, owners = _read([cell.path for cell in present])
    if leave_out_stale:
        stale = _find_stale(trials, owners, present)
        fresh = ~np.isin(owners, list(stale))
        trials, owners = trials[fresh].reset_index(drop=True), owners[fresh]
        fresh_files = [number for number in range(len(present)) if number not in stale]
        owners = np.searchsorted(fresh_files, owners)
        present = [present[number] for number in fresh_files]
    _check(trials, owners, present)
    keys = {cell.key for cell in present}
    missing = tuple(cell for cell in manifest.cells if cell.key not in keys)
    return AllTrials(trials=_sort(trials), missing=missing)


def _is_usable(cell: PlannedCell, leave_out: bool) -> bool:
    """Return whether the trials are as `evaluate` wrote them; raise `UserError` if not, unless they may be left out."""
    try:
        require_unchanged(cell.path)
    except UserError:
        if leave_out:
            return False
        raise
    return True


def _find_stale(trials: pd.DataFrame, owners: np.ndarray, cells: Sequence[PlannedCell]) -> set[int]:
    """Return the numbers of the files that other code or another config wrote."""
    return {
        int(owner)
        for column in ("code", "config")
        for owner in owners[_unlike(trials[column], owners, [getattr(cell, column) for cell in cells])]
    }


def read_trials(path: Path, *, record: Path | None = None) -> pd.DataFrame:
    """Read a trials file; `UserError` when it is not as its job wrote it. `record` is that of another than a cell's."""
    require_unchanged(path, record=record)
    return _read([path])[0]


def _read(paths: Sequence[Path]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return all rows of all files, and for each row the number of its file.

    Files with the same header are parsed at once: thousands of small files take seconds instead of minutes.
    """
    by_header: dict[str, list[int]] = {}
    bodies: list[list[str]] = []
    for number, path in enumerate(paths):
        lines = [line for line in _read_text(path).splitlines() if line]
        bodies.append(lines[1:])
        by_header.setdefault(lines[0] if lines else "", []).append(number)
    frames, owners = [_parse(",".join(COLUMNS), [])], [np.empty(0, np.int64)]
    for header, numbers in by_header.items():
        absent = [column for column in COLUMNS if column not in header.split(",")]
        if absent:
            raise UserError(f"{paths[numbers[0]]}: no column {', '.join(absent)}; delete it and run again")
        frames.append(_parse_all(header, [bodies[number] for number in numbers], [paths[number] for number in numbers]))
        owners.append(np.repeat(numbers, [len(bodies[number]) for number in numbers]))
    return pd.concat(frames, ignore_index=True), np.concatenate(owners)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a trials file (not text); delete it and run again") from error


def _parse_all(header: str, bodies: list[list[str]], paths: list[Path]) -> pd.DataFrame:
    try:
        return _parse(header, [line for body in bodies for line in body])
    except ValueError:
        for path, body in zip(paths, bodies, strict=True):
            try:
                _parse(header, body)
            except ValueError as error:
                raise UserError(f"{path}: not a trials file ({error}); delete it and run again") from error
        raise


def _parse(header: str, lines: list[str]) -> pd.DataFrame:
    return read_csv(io.StringIO("\n".join([header, *lines])), KINDS)


def _check(trials: pd.DataFrame, owners: np.ndarray, cells: Sequence[PlannedCell]) -> None:
    for rows, cell in zip(np.bincount(owners, minlength=len(cells)), cells, strict=True):
        if not rows:
            raise UserError(f"{cell.path}: no trials; delete it and run again")
    for factor in FACTORS:
        unlike = _first_unlike(trials[factor], owners, [cell.factors[factor] for cell in cells])
        if unlike is not None:
            cell = cells[owners[unlike]]
            raise UserError(f"{cell.path}: not the planned {factor} {cell.factors[factor]}; delete it and run again")
    for column in ("code", "config"):
        unlike = _first_unlike(trials[column], owners, [getattr(cell, column) for cell in cells])
        if unlike is not None:
            cell = cells[owners[unlike]]
            raise UserError(
                f"{cell.path}: stale: computed with another {column} digest "
                f"({trials[column][unlike]}, planned {getattr(cell, column)}); "
                "run the workflow again, or delete the file first if it is not re-made"
            )
    _check_rows(trials, owners, cells)


def _check_rows(trials: pd.DataFrame, owners: np.ndarray, cells: Sequence[PlannedCell]) -> None:
    keyed = trials.assign(owner=owners)
    twice = keyed.duplicated(["owner", "metric", "trial"])
    if twice.any():
        raise UserError(f"{cells[owners[twice][0]].path}: a trial is listed twice; delete it and run again")
    for column in FIXED_IN_A_CELL:
        _, first, number = np.unique(owners, return_index=True, return_inverse=True)
        values = trials[column].to_numpy(object)
        unlike = values != values[first][number]
        if unlike.any():
            path = cells[owners[unlike][0]].path
            raise UserError(f"{path}: more than one value of {column}; delete it and run again")


def _first_unlike(column: pd.Series, owners: np.ndarray, expected: Sequence[str]) -> int | None:
    """Return the number of the first row whose value differs from the one expected of its file."""
    unlike = np.flatnonzero(_unlike(column, owners, expected))
    return int(unlike[0]) if len(unlike) else None


def _unlike(column: pd.Series, owners: np.ndarray, expected: Sequence[str]) -> np.ndarray:
    """Return which rows differ from the value expected of their file."""
    return np.not_equal(column.to_numpy(object), np.asarray(expected, object)[owners]).astype(bool)


def _sort(trials: pd.DataFrame) -> pd.DataFrame:
    """Sort by factors, metric and trial; levels that are numbers sort as numbers."""
    by = [*FACTORS, "metric", "trial"]
    return trials.sort_values(by, key=_natural, kind="stable", ignore_index=True)


def _natural(column: pd.Series) -> pd.Series:
    if column.name == "trial":
        return column
    levels = sorted(
        column.unique(), key=lambda level: (not level.isdigit(), int(level) if level.isdigit() else 0, level)
    )
    return column.map({level: position for position, level in enumerate(levels)})
