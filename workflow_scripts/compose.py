"""Compose the report: one self-contained HTML page with every study, the data, the costs and the versions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import read_record, require_unchanged
from workflow_scripts.core.cli import results_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import write_text
from workflow_scripts.core.provenance import require_planned_code
from workflow_scripts.levels import registry
from workflow_scripts.planning.attempts import read_attempts
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import Manifest, Study, read_manifest
from workflow_scripts.report import (
    audits,
    costs,
    failures,
    labels,
    page,
    plotting,
    renderers,
    reproduction_render,
    reproduction_table,
    separation,
    status,
    study_table,
)
from workflow_scripts.report.figure_inputs import Statistics, read_numbers
from workflow_scripts.statistics.reproduction.table import read_reproduction
from workflow_scripts.statistics.tables.schema import read_table, read_tables


def main(argv: list[str] | None = None) -> None:
    """Write the report."""
    arguments = _parser().parse_args(argv)
    manifest = read_manifest(arguments.manifest, statistics=arguments.statistics)
    kinds = (study.figure.kind for study in manifest.studies if study.figure)
    require_planned_code(arguments.code, "compose", chosen=[registry.module_name("figure", kind) for kind in kinds])
    labels.use_labels_of(manifest)
    statistics = Statistics(arguments.statistics)
    numbers, cells = read_tables(arguments.statistics), read_table(arguments.statistics / STATISTICS_FILES["cells"])
    published = read_reproduction(arguments.statistics / STATISTICS_FILES["reproduction"])
    records = _records(manifest)
    report = page.Page(
        scale=manifest.scale,
        sources=page.sources(cells),
        n_missing=page.count_missing(cells),
        n_planned=len(manifest.cells),
        unfinished=manifest.unfinished,
        sections=tuple(
            page.StudySection(
                study=study,
                table=failures.attempt(
                    partial(_build_table, study, numbers, arguments.statistics), name=f"the table of {study.name}"
                ),
                figure=failures.attempt(
                    partial(_read_figure, study, statistics, folder=arguments.figures),
                    name=f"the figure of {study.name}",
                ),
                separation=separation.of_study(study, manifest),
            )
            for study in manifest.studies
        ),
        # A study of the user's own is compared with no publication.
        reproduction=reproduction_render.section(reproduction_table.build(published))
        if any(study.statements for study in manifest.studies)
        else Markup(""),
        data=tuple(page.data_rows(cells, corpora=manifest.corpora, find=manifest.find_record)),
        audit=audits.read_audits(manifest.audits, find=manifest.find_record),
        jobs=status.read_statuses(manifest),
        digests=tuple(_digests(manifest)),
        run=tuple(_run(manifest, records)),
        **page.cost_tables(records),
    )
    write_text(arguments.output, page.render(report))


def _parser() -> argparse.ArgumentParser:
    parser = results_parser("compose", __doc__)
    parser.add_argument("--figures", type=Path, required=True, help="folder written by draw")
    parser.add_argument("--output", type=Path, required=True, help="page to write (results/report/index.html)")
    return parser


def _build_table(study: Study, numbers: Mapping[str, pd.DataFrame], statistics: Path) -> study_table.Table:
    """Return the table of a study, after a trial rendering: one that fails must not end the page."""
    failures.require_computed(study.name, statistics)
    table = study_table.build(study, numbers)
    renderers.html(table)
    return table


def _read_figure(study: Study, statistics: Statistics, *, folder: Path) -> page.PrintedFigure | failures.Failure | None:
    """Return the figure of a study, or the failure to draw it, if there is one."""
    svg = folder / f"{study.name}.svg"
    if study.figure is None or not svg.is_file():
        return None
    level = registry.load("figure", study.figure.kind)
    require_unchanged(svg, record=svg.with_suffix(".json"))
    if read_record(svg.with_suffix(".json")).get("statistics") != statistics.digest:
        raise UserError(f"{svg} was drawn from other statistics: delete it and run again")
    numbers = read_numbers(svg.with_suffix(".csv"))
    if failure := failures.read_failure(numbers):
        return failure
    description = plotting.describe_figure(level.describe, study, numbers)
    return page.format_figure(study, numbers, svg=svg, reading=level.READING, description=description)


def _records(manifest: Manifest) -> list[costs.JobRecord]:
    attempts = read_attempts(manifest.journal)
    of_cells = [
        (f"evaluate, {cell.factors['scenario'].replace('_', '-')}", cell.path.with_name(result_files.RECORD))
        for cell in manifest.cells
    ]
    return [
        record
        for stage, path in [*manifest.records, *of_cells]
        for record in costs.read_records(stage, path, attempts, find=manifest.find_record)
    ]


def _run(manifest: Manifest, records: Sequence[costs.JobRecord]) -> Iterator[tuple[str, str]]:
    """Yield what was run: config files, the days of the jobs, and the command that explains one number."""
    yield "Config files", ", ".join(("config/config.yaml", *manifest.configfiles))
    if days := costs.dates(records):
        yield "Jobs started", f"{days} (UTC)"
    yield "Where a number comes from", "python -m workflow_scripts.explain STUDY ROW COLUMN --results FOLDER"


def _digests(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the code digests by scenario; reports of the same code have equal digests."""
    by_scenario: dict[str, set[str]] = {}
    for cell in manifest.cells:
        by_scenario.setdefault(cell.factors["scenario"], set()).add(cell.code)
    return [
        (f"Code of the evaluations, {scenario.replace('_', '-')}", ", ".join(sorted(codes)))
        for scenario, codes in sorted(by_scenario.items())
    ]


if __name__ == "__main__":
    run_command(main)
