"""Paths of the pages of cells, by the levels of their method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_scripts.core.provenance import digest
from workflow_scripts.planning.manifest import Manifest, PlannedCell
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS

FOLDER = "cells"
Key = tuple[str, ...]  # levels of `METHOD_FACTORS`, in their order


class CellLinks(Mapping[Key, str]):
    """Paths of the cells' pages below the folder of the site, by the levels of the method."""

    def __init__(self, manifest: Manifest) -> None:
        """List the pages of all cells of a manifest."""
        self.groups: dict[Key, list[PlannedCell]] = {}
        for cell in manifest.cells:
            self.groups.setdefault(self.key(cell), []).append(cell)
        self._paths = {key: f"{FOLDER}/{digest(key)}.html" for key in self.groups}

    @staticmethod
    def key(cell: PlannedCell) -> Key:
        """Return the levels of a cell's method."""
        return tuple(cell.factors[factor] for factor in METHOD_FACTORS)

    def __getitem__(self, key: Key) -> str:
        """Return the path of a page."""
        return self._paths[key]

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the levels of the methods, in the order of the plan."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Return the number of pages."""
        return len(self._paths)
