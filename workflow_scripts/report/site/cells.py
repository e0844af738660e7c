"""Page of the cells behind one number of a table: those that differ only in the pre-training seed.

It shows what the command `explain` prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.report import labels
from workflow_scripts.report.cell_explanation import CellExplanation, PrintedNumber, explain_cell
from workflow_scripts.report.labels import NOTHING
from workflow_scripts.report.site import studies, validation_panels
from workflow_scripts.report.site.cell_links import Key
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SiteFile, SitePage
from workflow_scripts.report.site.predictions import PredictionFiles, PredictionsPart
from workflow_scripts.report.site.validation_panels import Panel
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS

NAMED = tuple(map(METHOD_FACTORS.index, ("encoder", "scenario", "dataset")))  # places in a key


@dataclass(frozen=True, kw_only=True)
class CurvesPart:
    """Panels of the validation curves of a cell, or why they could not be read."""

    panels: tuple[Panel, ...]
    fault: str


@dataclass(frozen=True, kw_only=True)
class CellContent:
    """The numbers that tables print of a method, the studies that show it without one, and its cells by seed."""

    numbers: tuple[tuple[str, PrintedNumber], ...]  # with the path of the study's page
    cells: tuple[CellExplanation, ...]
    predictions: tuple[PredictionsPart, ...]  # of each cell
    curves: tuple[CurvesPart, ...]  # of each cell


def pages(inputs: ReportInputs) -> Iterator[SitePage | SiteFile]:
    """Yield a page for each number that the tables may show, and the files that it links."""
    files, titles = PredictionFiles(inputs.manifest), _titles(inputs.links)
    for key, path in inputs.links.items():
        parts: list[PredictionsPart] = []
        for cell in inputs.links.groups[key]:
            file = f"{path.removesuffix('.html')}_seed{cell.factors['pretrain_seed']}.csv"
            for part in files.describe(cell, file, dataset=labels.name(cell.factors["dataset"])):
                if isinstance(part, SiteFile):
                    yield part
                else:
                    parts.append(part)
        content = CellContent(
            numbers=tuple((studies.path(number.study), number) for number in inputs.numbers.get(key, ())),
            cells=tuple(_explain(cell, inputs) for cell in inputs.links.groups[key]),
            predictions=tuple(parts),
            curves=tuple(_draw_curves(cell, inputs) for cell in inputs.links.groups[key]),
        )
        yield SitePage(path=path, title=titles[key], template="site/cell.html.j2", content=content)


def _draw_curves(cell: PlannedCell, inputs: ReportInputs) -> CurvesPart:
    stored = inputs.curves(cell)
    return CurvesPart(panels=validation_panels.draw_cell(stored.curves), fault=stored.fault)


def _explain(cell: PlannedCell, inputs: ReportInputs) -> CellExplanation:
    return explain_cell(
        cell,
        inputs.manifest,
        trials=inputs.trials.of(cell),
        metrics=_metrics(cell, inputs),
        others=True,
        statuses=inputs.statuses,
        find=inputs.find_record,
    )


def _metrics(cell: PlannedCell, inputs: ReportInputs) -> list[str]:
    """Return the metrics that studies print of a cell."""
    using = [study for study in inputs.manifest.studies if study.name in cell.studies]
    return list(dict.fromkeys(read.metric for study in using for read in study.per_metric(cell.factors["dataset"])))


def _titles(keys: Iterable[Key]) -> dict[Key, str]:
    """Return encoder, scenario and data set of each page, and the other levels in which pages of these differ."""
    alike: dict[tuple[str, ...], list[Key]] = {}
    for key in keys:
        alike.setdefault(tuple(key[place] for place in NAMED), []).append(key)
    titles = {}
    for named, of_name in alike.items():
        differing = [place for place, levels in enumerate(zip(*of_name, strict=True)) if len(set(levels)) > 1]
        for key in of_name:
            others = [key[place] for place in differing if key[place] != NOTHING]
            titles[key] = ", ".join(map(labels.name, [*named, *others]))
    return titles
