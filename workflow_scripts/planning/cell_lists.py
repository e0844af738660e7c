"""Lists of finished cells: the output of a job that evaluates a group of cells on the embeddings of a run.

Snakemake knows the list only, so it neither deletes nor moves the cells' own files when such a job starts, fails or is
killed: finished cells stay, and the next job keeps those that are as planned. Whether all cells of a group are there
and as planned is therefore decided here, while the workflow is parsed: if so, the list that is there is the input of
later jobs; if not, the list of the same group under its other name, which is missing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.core.checksums import CHECKSUMS, OWN, read_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import write_json
from workflow_scripts.core.result_files import RECORD
from workflow_scripts.planning.runs import CellKey, Run

if TYPE_CHECKING:
    from workflow_scripts.planning.layout import Layout
    from workflow_scripts.planning.manifest import PlannedCell

# Cells of one job: a few dozen share what they load and their start; the command line, which states them, has to stay
# below the 128 kB of Linux (24.8 kB for 40 cells), and a job should end within hours.
MAX_CELLS = 64


@dataclass(frozen=True, kw_only=True)
class CellGroup:
    """Cells of a run and a data set that one job evaluates on embeddings; `number` counts such jobs."""

    run: Run
    dataset: str
    number: int
    cells: tuple[CellKey, ...]


def group_cells(pairs: Iterable[tuple[Run, CellKey]]) -> list[CellGroup]:
    """Return the groups of all cells whose encoder stays frozen, in planned order."""
    cells: dict[tuple[Run, str], list[CellKey]] = {}
    for run, cell in pairs:
        if not cell.trains_encoder:
            cells.setdefault((run, cell.dataset), []).append(cell)
    return [
        CellGroup(run=run, dataset=dataset, number=start // MAX_CELLS, cells=tuple(own[start : start + MAX_CELLS]))
        for (run, dataset), own in cells.items()
        for start in range(0, len(own), MAX_CELLS)
    ]


class CellLists:
    """The files by which later jobs depend on the cells of a group."""

    def __init__(self, layout: Layout, cells: Mapping[tuple[Run, CellKey], PlannedCell], *, compare: bool) -> None:
        """Take all planned cells; `compare` them with what is on the disk, as the main process of a workflow must."""
        self.layout, self.cells, self.compare = layout, cells, compare
        self._outputs: dict[CellGroup, list[str]] = {}

    def outputs(self, group: CellGroup) -> list[str]:
        """Return the list that is there, with the trials of cells that it does not state, or the one to be written."""
        if group not in self._outputs:
            self._outputs[group] = list(self._find_outputs(group))
        return self._outputs[group]

    def _find_outputs(self, group: CellGroup) -> Iterator[str]:
        lists = self.layout.cell_lists(group.run, group.dataset, group.number)
        present = next((path for path in lists if Path(path).exists()), None)
        listed = _read(Path(present)) if present else {}
        unlisted = []
        for cell in group.cells if self.compare or not present else ():
            checksum = find_checksum(self.cells[group.run, cell])
            if checksum is None and self.compare:
                other = next(path for path in lists if path != present)
                if not Path(other).exists():
                    yield other
                    return
                unlisted.append(cell)  # both lists are there, as after folders were merged: the cell alone
            elif listed.get(cell.folder) != checksum:
                unlisted.append(cell)
        if present:
            yield present
        yield from (self.layout.trials(group.run, cell) for cell in unlisted)


def write_cell_list(path: Path) -> None:
    """Write the list of all cells that are below its folder, those of other plans too."""
    cells = {}
    for record in sorted(path.parent.glob(f"*/*/*/*/{RECORD}")):
        with contextlib.suppress(UserError):  # damaged: of a cell of another plan
            cells[str(record.parent.relative_to(path.parent))] = read_record(record)[CHECKSUMS][OWN]
    write_json(path, {"cells": cells})


def find_checksum(cell: PlannedCell) -> str | None:
    """Return the checksum of a cell's record, or None if the cell is not finished as planned; files are not read."""
    try:
        record = _read_json(cell.path.with_name(RECORD))
        if (record["code"], record["config_digest"]) != (cell.code, cell.config):
            return None
        files = {cell.path.name, *record[CHECKSUMS]} - {OWN}
        return str(record[CHECKSUMS][OWN]) if all(cell.path.with_name(name).exists() for name in files) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(path: Path) -> dict[str, str]:
    """Return the cells of a list; none of a damaged one."""
    try:
        return {str(folder): str(checksum) for folder, checksum in _read_json(path)["cells"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
