"""Page of the cells behind one number of a table: those that differ only in the pre-training seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.core.provenance import digest
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Manifest, PlannedCell
from workflow_scripts.report import labels
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS

FOLDER = "cells"
Key = tuple[str, ...]  # levels of `METHOD_FACTORS`, in their order


@dataclass(frozen=True, kw_only=True)
class CellContent:
    """The cells of one number, which differ in the pre-training seed, with their levels by label."""

    levels: tuple[tuple[str, str], ...]
    cells: tuple[PlannedCell, ...]


class CellLinks(Mapping[Key, str]):
    """Paths of the cells' pages below the folder of the site, by the levels of the method."""

    def __init__(self, manifest: Manifest) -> None:
        """List the pages of all cells of a manifest."""
        self.groups: dict[Key, list[PlannedCell]] = {}
        for cell in manifest.cells:
            self.groups.setdefault(tuple(cell.factors[factor] for factor in METHOD_FACTORS), []).append(cell)
        self._paths = {key: f"{FOLDER}/{digest(key)}.html" for key in self.groups}

    def __getitem__(self, key: Key) -> str:
        """Return the path of a page."""
        return self._paths[key]

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the levels of the methods, in the order of the plan."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Return the number of pages."""
        return len(self._paths)


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield a page for each number that the tables may show."""
    links = CellLinks(inputs.manifest)
    for key, path in links.items():
        content = CellContent(levels=_name_levels(key), cells=tuple(links.groups[key]))
        yield SitePage(path=path, title=_title(key), template="site/cell.html.j2", content=content)


def _name_levels(key: Sequence[str]) -> tuple[tuple[str, str], ...]:
    levels = dict(zip(METHOD_FACTORS, key, strict=True))
    return tuple(
        (labels.capital(labels.name(factor)), labels.name(levels[factor])) for factor in FACTORS if factor in levels
    )


def _title(key: Sequence[str]) -> str:
    """Return the encoder, its scenario and the data set."""
    levels = dict(zip(METHOD_FACTORS, key, strict=True))
    return ", ".join(labels.name(levels[factor]) for factor in ("encoder", "scenario", "dataset"))
