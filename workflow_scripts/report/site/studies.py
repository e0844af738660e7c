"""Page of a study: its question, answer, table, figure, comparisons and notes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from workflow_scripts.core.checksums import read_record, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import failures, labels, plotting, printed_figure, separation
from workflow_scripts.report.comparison_text import PrintedComparison, select_strongest
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.figure_inputs import Evidence, read_numbers
from workflow_scripts.report.notes import TWIN_WARNING, NoteSection
from workflow_scripts.report.printed_figure import PrintedFigure
from workflow_scripts.report.site import study_files
from workflow_scripts.report.site.cell_links import CellLinks
from workflow_scripts.report.site.forest import ForestPlot, build_forests
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.page import SiteFile, SitePage
from workflow_scripts.report.site.study_classes import ClassReader, ClassResults
from workflow_scripts.report.site.study_curves import fraction_curves, loss_curves
from workflow_scripts.report.site.study_files import StudyFiles
from workflow_scripts.report.site.validation_panels import StudyPanels, draw_study
from workflow_scripts.report.study_table import Table

FOLDER = "studies"
#: factors whose levels a question may ask about
SHOWN_FACTORS = tuple(factor for factor in FACTORS if factor not in ("recipe", "protocol", "pretrain_seed"))
MOST_SENTENCES = 3  # of an answer
MOST_COLUMNS = 8  # of a table: as many as fit 1,000 pixels beside the names of methods
#: heading of the contents by the beginning of a study's name; studies of no publication stand under the last
GROUPS = {
    "wu2021_": "System A: Wu et al. 2021",
    "spijkervet2021_": "System B: Spijkervet 2021",
    "garoufis2024_": "System C: Garoufis et al. 2024",
    "": "Across systems",
}


@dataclass(frozen=True)
class StudyResults:
    """The table of a study in the parts of its page."""

    table: Table

    @property
    def parts(self) -> list[Table]:
        """The table, in parts that fit a page."""
        return self.table.split(MOST_COLUMNS)

    @functools.cached_property
    def strongest(self) -> list[PrintedComparison]:
        """The comparisons that answer the question."""
        return select_strongest(self.table.comparisons, MOST_SENTENCES)

    @property
    def others(self) -> list[PrintedComparison]:
        """The comparisons beside the strongest."""
        return [comparison for comparison in self.table.comparisons if comparison not in self.strongest]

    @property
    def forests(self) -> list[ForestPlot]:
        """The comparisons with numbers as a plot for each unit."""
        return build_forests(self.table)

    @property
    def without_numbers(self) -> list[PrintedComparison]:
        """The comparisons that have no number, and so no line of the plot."""
        return [comparison for comparison in self.table.comparisons if comparison.estimate is None]

    @property
    def warnings(self) -> list[str]:
        """Warnings on what the numbers cannot show, but for that on twins, which is at the top of every page."""
        return [warning for warning in self.table.warnings if warning != TWIN_WARNING]

    @property
    def sections(self) -> list[NoteSection]:
        """The notes that are no warnings."""
        return [section for section in self.table.sections if not section.warns]


@dataclass(frozen=True, kw_only=True)
class StudyContent:
    """Content of the page of a study; a figure is None if the study has none.

    `failures` has a sentence for each part that could not be produced, which is missing then.
    """

    study: Study
    part: str  # what of the study was run; empty if all
    results: StudyResults | None
    figure: PrintedFigure | None
    fractions: PrintedFigure | None
    losses: PrintedFigure | None
    validation: StudyPanels | None
    classes: Sequence[ClassResults]
    separation: separation.SeparationTable
    cell_links: CellLinks  # pages of the numbers, by the levels of their method
    files: StudyFiles
    failures: tuple[str, ...]


def path(study: Study) -> str:
    """Return the path of a study's page below the folder of the site."""
    return f"{FOLDER}/{study.name}.html"


def pages(inputs: ReportInputs) -> Iterator[SitePage | SiteFile]:
    """Yield the page of each study, and the files that it offers."""
    reader = ClassReader(CellLinks(inputs.manifest))
    for study in inputs.manifest.studies:
        files = study_files.collect_files(study, inputs)
        yield SitePage(
            path=path(study),
            title=study.title,
            template="site/study.html.j2",
            content=_content(study, inputs, reader, files),
            group=group(study),
        )
        for name, content in files.contents.items():
            yield SiteFile(path=name, content=content)


def _content(study: Study, inputs: ReportInputs, reader: ClassReader, files: StudyFiles) -> StudyContent:
    table = inputs.tables[study.name]
    evidence = Evidence(study=study, manifest=inputs.manifest, statistics=inputs.statistics)
    parts: dict[str, Callable[[], Any]] = {
        "figure": partial(_read_figure, study, inputs),
        "figure of the shares of labels": partial(fraction_curves, study, evidence),
        "figure of the losses": partial(loss_curves, study, evidence),
        "validation curves": partial(draw_study, study, inputs),
        "table of the classes": partial(_read_classes, study, inputs, reader),
    }
    produced: dict[str, Any] = {"table": StudyResults(table) if isinstance(table, Table) else table}
    for name, produce in parts.items():
        produced[name] = failures.attempt(produce, name=f"the {name} of {study.name}")
    results, figure, fractions, losses, validation, classes = (
        None if isinstance(part, Failure) else part for part in produced.values()
    )
    return StudyContent(
        study=study,
        part=describe_part(study, inputs),
        results=results,
        figure=figure,
        fractions=fractions,
        losses=losses,
        validation=validation,
        classes=classes or (),
        separation=separation.of_study(study, inputs.manifest),
        cell_links=reader.links,
        files=files,
        failures=tuple(
            f"The {name} could not be produced: {part.reason}"
            for name, part in produced.items()
            if isinstance(part, Failure)
        ),
    )


def _read_classes(study: Study, inputs: ReportInputs, reader: ClassReader) -> list[ClassResults]:
    entries = inputs.statistics.tables["entries"]
    return reader.read(study, entries[entries["study"] == study.name])


def describe_part(study: Study, inputs: ReportInputs) -> str:
    """Return the levels that the config of this run trims the study to, as a sentence; empty if it is whole."""
    trimmed = inputs.manifest.config.get("trim", {}).get(study.name, {})
    levels = {factor: named for factor, named in trimmed.items() if factor in SHOWN_FACTORS and isinstance(named, list)}
    parts = [
        f"{labels.name(factor)}: {', '.join(labels.name(str(level)) for level in levels[factor])}" for factor in levels
    ]
    return f"Only a part of this study was run ({'; '.join(parts)})." if parts else ""


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
