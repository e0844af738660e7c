"""Page of the cells behind one number of a table: those that differ only in the pre-training seed.

It shows what the command `explain` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.report import labels
from workflow_scripts.report.cell_explanation import CellExplanation, PrintedNumber, explain_cell
from workflow_scripts.report.site import studies
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS


@dataclass(frozen=True, kw_only=True)
class CellContent:
    """The numbers that tables print of a method, the studies that show it without one, and its cells by seed."""

    numbers: tuple[tuple[str, PrintedNumber], ...]  # with the path of the study's page
    cells: tuple[CellExplanation, ...]


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield a page for each number that the tables may show."""
    for key, path in inputs.links.items():
        content = CellContent(
            numbers=tuple((studies.path(number.study), number) for number in inputs.numbers.get(key, ())),
            cells=tuple(_explain(cell, inputs) for cell in inputs.links.groups[key]),
        )
        yield SitePage(path=path, title=_title(key), template="site/cell.html.j2", content=content)


def _explain(cell: PlannedCell, inputs: ReportInputs) -> CellExplanation:
    return explain_cell(
        cell,
        inputs.manifest,
        trials=inputs.trials.of(cell),
        metrics=(),
        statuses=inputs.statuses,
        find=inputs.find_record,
    )


def _title(key: Sequence[str]) -> str:
    """Return the encoder, its scenario and the data set."""
    levels = dict(zip(METHOD_FACTORS, key, strict=True))
    return ", ".join(labels.name(levels[factor]) for factor in ("encoder", "scenario", "dataset"))
