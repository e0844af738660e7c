"""Page of a study: its question, answer, table, figure, comparisons and notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from workflow_scripts.core.checksums import read_record, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import failures, plotting, printed_figure, separation
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.figure_inputs import read_numbers
from workflow_scripts.report.printed_figure import PrintedFigure
from workflow_scripts.report.site.cell_links import CellLinks
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SitePage
from workflow_scripts.report.study_table import Table

FOLDER = "studies"
#: heading of the contents by the beginning of a study's name; studies of no publication stand under the last
GROUPS = {
    "wu2021_": "System A: Wu et al. 2021",
    "spijkervet2021_": "System B: Spijkervet 2021",
    "garoufis2024_": "System C: Garoufis et al. 2024",
    "": "Across systems",
}


@dataclass(frozen=True, kw_only=True)
class StudyContent:
    """What the page of a study shows; `figure` is None if the study has none."""

    study: Study
    table: Table | Failure
    figure: PrintedFigure | Failure | None
    separation: separation.SeparationTable
    cell_links: CellLinks  # pages of the numbers, by the levels of their method

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence for the table and the figure that failed."""
        parts = {"table": self.table, "figure": self.figure}
        return tuple(
            f"The {name} could not be produced: {part.reason}"
            for name, part in parts.items()
            if isinstance(part, Failure)
        )


def path(study: Study) -> str:
    """Return the path of a study's page below the folder of the site."""
    return f"{FOLDER}/{study.name}.html"


def pages(inputs: ReportInputs) -> Iterator[SitePage]:
    """Yield the page of each study."""
    links = CellLinks(inputs.manifest)
    for study in inputs.manifest.studies:
        content = StudyContent(
            study=study,
            table=inputs.tables[study.name],
            figure=failures.attempt(partial(_read_figure, study, inputs), name=f"the figure of {study.name}"),
            separation=separation.of_study(study, inputs.manifest),
            cell_links=links,
        )
        yield SitePage(
            path=path(study), title=study.title, template="site/study.html.j2", content=content, group=group(study)
        )


def group(study: Study) -> str:
    """Return the heading of the contents under which a study stands."""
    return next(heading for beginning, heading in GROUPS.items() if study.name.startswith(beginning))


def _read_figure(study: Study, inputs: ReportInputs) -> PrintedFigure | Failure | None:
    """Return the figure of a study, or the failure to draw it, if there is one."""
    svg = inputs.figures / f"{study.name}.svg"
    if study.figure is None or not svg.is_file():
        return None
    level = registry.load("figure", study.figure.kind)
    require_unchanged(svg, record=svg.with_suffix(".json"))
    if read_record(svg.with_suffix(".json")).get("statistics") != inputs.statistics.digest:
        raise UserError(f"{svg} was drawn from other statistics: delete it and run again")
    numbers = read_numbers(svg.with_suffix(".csv"))
    if failure := failures.read_failure(numbers):
        return failure
    description = plotting.describe_figure(level.describe, study, numbers)
    return printed_figure.format_figure(study, numbers, svg=svg, reading=level.READING, description=description)
