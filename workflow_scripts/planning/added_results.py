"""Finished evaluations of other machines, added to the results of a plan.

An evaluation is added if its digests of code and config are those of the plan, which cover all jobs before it, and if
its data are those of the results that are here. Statistics are computed anew from all trials, so they are the same for
all machines by construction.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import CHECKSUMS, OWN, FindRecord, find_record, read_record, require_unchanged
from workflow_scripts.core.csv_files import read_rows
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import make_scratch_folder, read_note, write_json
from workflow_scripts.core.validation import parse_json
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Manifest, PlannedCell

EVALUATIONS = "evaluations"  # folder of all cells below the folder of results
NOTE, ORIGIN = "added.json", "from"  # file beside added trials, and its key
PREPARE, CORPUS_PARTS = "prepare", 4  # stage of corpora; parts of corpora/<data set>/<sample rate>/corpus.json
COMPARED = ("code", "config", "data_digest")


@dataclass(frozen=True, kw_only=True)
class _FinishedCell:
    """A finished evaluation of another machine: its trials, and the files that its record names."""

    cell: PlannedCell
    trials: Path
    origin: Path
    files: tuple[str, ...]


def add_results(manifest: Manifest, folders: Sequence[Path]) -> list[str]:
    """Copy the finished evaluations that the plan has and that are missing here; return what was added, in words.

    Everything is checked before anything is copied. Nothing that is here is changed; an evaluation appears as a whole.
    Raises `UserError` with the first reason why results do not belong to this plan.
    """
    additions: dict[Path, _FinishedCell] = {}
    digests = _data_digests(manifest)
    read = functools.cache(find_record)  # many evaluations share a corpus
    lines = []
    for folder in folders:
        if not (folder / EVALUATIONS).is_dir():
            raise UserError(f"--add {folder}: no folder {EVALUATIONS} in it: name the folder of another run's results")
        finished = list(_find_finished(manifest, folder))
        new = [item for item in finished if not item.cell.path.is_file() and item.cell.path not in additions]
        for item in new:
            _require_fitting(item, digests)
            _require_equal_corpora(item, read)
            _require_no_leftovers(item.cell.path.parent)
            additions[item.cell.path] = item
        lines.append(
            f"{folder}: {len(new):,} of {len(manifest.cells):,} planned evaluations added, "
            f"{len(finished) - len(new):,} more were here already"
        )
    for item in additions.values():
        _copy(item)
    return lines


def read_origin(cell: PlannedCell) -> str:
    """Return the folder of results that trials were added from; empty if they were computed here."""
    path = cell.path.with_name(NOTE)
    if not path.is_file():
        return ""
    try:
        content = parse_json(read_note(path) or "")
    except ValueError:
        return "a folder that is not known"
    return str(content[ORIGIN]) if isinstance(content, dict) and ORIGIN in content else ""


def _find_finished(manifest: Manifest, folder: Path) -> Iterator[_FinishedCell]:
    """Yield the evaluations of a plan that lie at the same place below another folder of results."""
    for cell in manifest.cells:
        trials = folder / EVALUATIONS / Path(*cell.path.parts[-len(FACTORS) - 1 :])
        if trials.is_file():
            names = read_record(trials.with_name(result_files.RECORD))[CHECKSUMS].keys() - {OWN}
            yield _FinishedCell(cell=cell, trials=trials, origin=folder, files=tuple(sorted(names)))


def _data_digests(manifest: Manifest) -> dict[str, str]:
    """Return the data digest of each data set that is prepared or was evaluated here."""
    facts = (manifest.find_record(folder / result_files.CORPUS_FACTS) for folder in manifest.corpora)
    digests = {corpus["dataset"]: str(corpus["content"]) for corpus in facts if corpus}
    for cell in manifest.cells:
        if cell.factors["dataset"] not in digests and cell.path.is_file():
            digests[cell.factors["dataset"]] = _read_digests(cell.path)["data_digest"]
    return digests


def _read_digests(trials: Path) -> Mapping[str, str]:
    """Return the digests that trials carry."""
    try:
        rows = read_rows(trials, COMPARED)
    except ValueError as error:
        raise UserError(f"{trials}: not a trials file ({error})") from error
    if not rows:
        raise UserError(f"{trials}: no trials")
    return rows[0]


def _require_fitting(item: _FinishedCell, digests: dict[str, str]) -> None:
    """Raise `UserError` unless an evaluation is as its job wrote it, of the planned code and config and of our data.

    The first evaluation on a data set that is not here decides which data the others must have.
    """
    for name in item.files:
        require_unchanged(item.trials.with_name(name))
    own = _read_digests(item.trials)
    dataset = item.cell.factors["dataset"]
    planned = {
        "code": item.cell.code,
        "config": item.cell.config,
        "data_digest": digests.setdefault(dataset, own["data_digest"]),
    }
    for name, expected in planned.items():
        if own[name] != expected:
            what = f"data digest of {dataset}" if name == "data_digest" else f"{name} digest"
            raise UserError(
                f"--add {item.origin}: nothing was added: {item.trials} has the {what} {own[name]}, and this plan has "
                f"{expected}: both machines need the same version of Prelude, config and data"
            )


def _require_equal_corpora(item: _FinishedCell, read: FindRecord) -> None:
    """Raise `UserError` if a corpus behind an evaluation, that of pre-training too, has other clips here and there."""
    for job in item.cell.jobs:
        if job.stage == PREPARE:
            here, there = read(job.output), read(item.origin / Path(*job.output.parts[-CORPUS_PARTS:]))
            if here and there and here["content"] != there["content"]:
                raise UserError(
                    f"--add {item.origin}: nothing was added: the corpus {here['dataset']} behind {item.trials} has "
                    f"the data digest {there['content']} there and {here['content']} here: both need the same data"
                )


def _require_no_leftovers(folder: Path) -> None:
    """Raise `UserError` if an evaluation that did not finish has left files at the place of one to be added."""
    files = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
    if files:
        raise UserError(f"{folder} holds {files[0]} of an evaluation that did not finish: delete the folder, add again")


def _copy(item: _FinishedCell) -> None:
    """Copy an evaluation beside its place, compare the copy with its checksums, and move it there."""
    target = item.cell.path.parent
    with make_scratch_folder(target.with_name(f".{target.name}.added")) as scratch:
        for name in (*item.files, result_files.RECORD):
            shutil.copyfile(item.trials.with_name(name), scratch / name)
        for name in item.files:
            require_unchanged(scratch / name)
        write_json(scratch / NOTE, {ORIGIN: str(item.origin)})
        if not target.is_dir():
            scratch.rename(target)
            return
        last = (result_files.RECORD, result_files.TRIALS)  # with these an evaluation counts as finished
        for path in sorted(scratch.iterdir(), key=lambda path: (path.name in last, path.name)):
            path.rename(target / path.name)
