"""Inputs of the report's pages: the manifest, the statistics, the figures and the records of jobs."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.added_results import read_origin
from workflow_scripts.planning.attempts import Attempts, read_attempts
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import Manifest, PlannedCell, PlannedJob, Study
from workflow_scripts.report import costs, failures, status, study_table
from workflow_scripts.report.cell_explanation import PrintedNumber, StoredTrials, print_numbers
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.figure_inputs import Statistics
from workflow_scripts.report.labels import TWIN
from workflow_scripts.report.renderers import html
from workflow_scripts.report.site.cell_links import CellLinks
from workflow_scripts.report.study_table import Table
from workflow_scripts.statistics.tables.schema import MISSING, read_table
from workflow_scripts.statistics.validation_curves import ValidationCurve, read_curves


@dataclass(frozen=True, kw_only=True)
class StoredCurves:
    """Validation curves of a cell, none if it keeps none, or why they could not be read."""

    curves: tuple[ValidationCurve, ...] = ()
    fault: str = ""


def _read_curves(cell: PlannedCell) -> StoredCurves:
    try:
        return StoredCurves(curves=tuple(read_curves(cell.path.with_name(result_files.VALIDATION))))
    except (UserError, OSError) as error:
        return StoredCurves(fault=str(error))


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """All that the pages are made from; each file is read once for all pages. `figures` is the folder of `draw`."""

    manifest: Manifest
    statistics: Statistics
    figures: Path

    @functools.cached_property
    def cells(self) -> pd.DataFrame:
        """Every cell in every metric."""
        return read_table(self.statistics.folder / STATISTICS_FILES["cells"])

    @functools.cached_property
    def attempts(self) -> Mapping[str, Attempts]:
        """Attempts of all jobs, by the path of their record."""
        return read_attempts(self.manifest.journal)

    @functools.cached_property
    def tables(self) -> Mapping[str, Table | Failure]:
        """The table of each study, or the failure in its place, by the study's name."""
        return {
            study.name: failures.attempt(partial(self._build_table, study), name=f"the table of {study.name}")
            for study in self.manifest.studies
        }

    @functools.cached_property
    def statuses(self) -> Mapping[PlannedJob, status.JobStatus]:
        """State of every planned job, stage by stage."""
        return {job.job: job for job in status.list_statuses(self.manifest, self.attempts)}

    @functools.cached_property
    def trials(self) -> StoredTrials:
        """Every trial, by its cell."""
        return StoredTrials(self.statistics.trials)

    @functools.cached_property
    def origins(self) -> Mapping[str, int]:
        """Number of evaluations that were added from each other folder of results."""
        origins = Counter(read_origin(cell) for cell in self.manifest.cells)
        return {origin: number for origin, number in sorted(origins.items()) if origin}

    @functools.cached_property
    def links(self) -> CellLinks:
        """Pages of the cells."""
        return CellLinks(self.manifest)

    @functools.cached_property
    def numbers(self) -> Mapping[tuple[str, ...], list[PrintedNumber]]:
        """Every number of the tables, by the levels of its method."""
        tables = [(study, self.tables[study.name]) for study in self.manifest.studies]
        return print_numbers([(study, table) for study, table in tables if isinstance(table, Table)])

    def curves(self, cell: PlannedCell) -> StoredCurves:
        """Return the validation curves of a cell that has trials; read once for all pages that show them."""
        if cell.key not in self._curves:
            self._curves[cell.key] = _read_curves(cell) if cell in self.trials else StoredCurves()
        return self._curves[cell.key]

    @functools.cached_property
    def _curves(self) -> dict[tuple[str, ...], StoredCurves]:
        return {}

    def find_record(self, path: Path) -> dict[str, Any] | None:
        """Read the record of a job once for all pages that show it; None if there is none."""
        if path not in self._records:
            self._records[path] = self.manifest.find_record(path)
        return self._records[path]

    @functools.cached_property
    def _records(self) -> dict[Path, dict[str, Any] | None]:
        return {}

    def _build_table(self, study: Study) -> Table:
        """Return the table of a study, after a trial rendering: one that fails must not end the site."""
        failures.require_computed(study.name, self.statistics.folder)
        table = study_table.build(study, self.statistics.tables)
        html.render(table)
        return table

    @functools.cached_property
    def records(self) -> list[costs.JobRecord]:
        """Cost and provenance of every job that has run."""
        of_cells = [
            (f"evaluate, {cell.factors['scenario'].replace('_', '-')}", cell.path.with_name(result_files.RECORD))
            for cell in self.manifest.cells
        ]
        return [
            record
            for stage, path in [*self.manifest.records, *of_cells]
            for record in costs.read_records(stage, path, self.attempts, find=self.find_record)
        ]

    @functools.cached_property
    def sources(self) -> tuple[str, ...]:
        """Sources of the data behind the measured numbers, sorted."""
        return tuple(sorted(set(self.cells["source"]) - {""}))

    @property
    def has_twins(self) -> bool:
        """Whether any number comes from synthetic data."""
        return TWIN in self.sources

    @functools.cached_property
    def n_missing(self) -> int:
        """Number of planned cells without any trial."""
        return int(((self.cells["status"] == MISSING) & (self.cells["metric"] == "")).sum())
