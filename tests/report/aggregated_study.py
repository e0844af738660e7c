"""Results on their way to the report, aggregated."""

from __future__ import annotations

from pathlib import Path

from tests.synthetic_results import Results
from workflow_scripts import aggregate
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import study_table
from workflow_scripts.statistics.tables.schema import read_tables


def statistics(results: Results) -> Path:
    """Aggregate `results`; return the folder of statistics."""
    folder = results.folder / "statistics"
    aggregate.main(["--plan", results.plan_file(), "--output", str(folder)])
    return folder


def table(results: Results) -> study_table.Table:
    """The table of the one study of `results`."""
    folder = statistics(results)
    (study,) = read_manifest(results.plan_file()).studies
    return study_table.build(study, read_tables(folder))
