"""Synthetic results, aggregated as for the report."""

from __future__ import annotations

from pathlib import Path

from tests.synthetic_results import Results, level_labels
from workflow_scripts import aggregate
from workflow_scripts.planning.manifest import Manifest, read_manifest
from workflow_scripts.report import labels, study_table
from workflow_scripts.statistics.tables.schema import read_tables


def statistics(results: Results) -> Path:
    """Aggregate `results`, and take labels from its manifest; return the folder of statistics."""
    folder = results.folder / "statistics"
    aggregate.main(["--manifest", results.manifest_file(), "--output", str(folder)])
    labels.use_labels_of(read_manifest(results.manifest_file()))
    return folder


def build_table(results: Results) -> study_table.Table:
    """Return the table of the one study of `results`."""
    folder = statistics(results)
    (study,) = read_manifest(results.manifest_file()).studies
    return study_table.build(study, read_tables(folder))


def use_default_labels() -> None:
    """Take the labels of the default config's levels, without a manifest file."""
    labels.use_labels_of(Manifest(scale="demo", cells=(), studies=(), labels=level_labels()))
