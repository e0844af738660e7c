"""Gather the trials of all cells into one tidy table, and compute intervals and comparisons.

Writes `trials.csv` and `trials.parquet` (all trials), `cells.csv` (per cell and metric), `entries.csv` (per entry of a
study's table), `comparisons.csv` (per comparison and data set), `across.csv` (per comparison over all data sets),
`ranks.csv` and `profiles.csv` (per method over all data sets), `variance.csv` (per entry: where its variation comes
from), `seeds.csv` (pre-training seeds that would show a difference), `classes.csv` (clips of each class of the data
sets), `reproduction.csv` (per published number or claim) and `summary.json` (what went in).
A study whose statistics fail is left out; the reason, in `summary.json`, takes the place of its table and figure.
Same trials and predictions, same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from workflow_scripts.audio.corpus import read_facts
from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.core.cli import results_parser
from workflow_scripts.core.csv_files import csv_text
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import write_atomically, write_text
from workflow_scripts.core.provenance import require_planned_code
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.layout import STATISTICS_FILES
from workflow_scripts.planning.manifest import Manifest, read_manifest
from workflow_scripts.report import failures
from workflow_scripts.statistics.contrasts import contrasts, table_entries
from workflow_scripts.statistics.data_sources import short_clips, sources_of, training_fields
from workflow_scripts.statistics.reproduction.table import reproduction_table
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.tables.across_datasets import across_table
from workflow_scripts.statistics.tables.cells import cell_table
from workflow_scripts.statistics.tables.classes import class_table
from workflow_scripts.statistics.tables.comparisons import comparison_table
from workflow_scripts.statistics.tables.entries import entry_table
from workflow_scripts.statistics.tables.ranks import profile_table, rank_table
from workflow_scripts.statistics.tables.seeds_needed import seeds_table
from workflow_scripts.statistics.tables.variance import variance_table
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates, bootstrap_cells
from workflow_scripts.statistics.trials import gather

#: version of the columns of all tables; 2: intervals, standard errors and contrasts under the names of the field;
#: 3: classes.csv, and the training of the trials in entries.csv; 4: the protocol, in all tables
SCHEMA_VERSION = 4
SECONDS_TO_APPEAR = 60  # as latency-wait of the SLURM profile: a shared file system may show files late


def main(argv: list[str] | None = None) -> None:
    """Write all statistics."""
    parser = results_parser("aggregate", __doc__, statistics=False)
    parser.add_argument("--digest", help="digest that the manifest must have; another is refused")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to (results/statistics)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads that bootstrap test sets and rank")
    arguments = parser.parse_args(argv)

    require_planned_code(arguments.code, "aggregate")
    manifest = read_manifest(arguments.manifest)
    if arguments.digest not in (None, manifest.digest):
        raise UserError(f"{arguments.manifest} is another plan than that of this run: delete it and run again")
    for folder in manifest.corpora:  # raises if the limit of a study is lower now
        if manifest.find_record(folder / result_files.CORPUS_FACTS):
            read_facts(folder)
    if arguments.digest:
        _wait_for_trials(manifest)
    all_trials = gather(manifest, leave_out_stale=manifest.unfinished)
    compute = partial(_compute, trials=all_trials.trials, threads=arguments.threads)
    tables, failed = _compute_healthy(manifest, compute)
    for name, table in tables.items():
        write_text(arguments.output / STATISTICS_FILES[name], csv_text(table))
    with write_atomically(arguments.output / STATISTICS_FILES["parquet"]) as temporary:
        all_trials.trials.to_parquet(temporary, engine="pyarrow", index=False)
    names = [*tables, "parquet"]
    write_record(
        arguments.output / STATISTICS_FILES["summary"],
        {
            "schema_version": SCHEMA_VERSION,
            "scale": manifest.scale,
            "code": arguments.code,
            "cells": len(manifest.cells) - len(all_trials.missing),
            "missing": [str(cell.path) for cell in all_trials.missing],
            "trials": len(all_trials.trials.drop_duplicates([*FACTORS, "trial"])),
            "studies": [study.name for study in manifest.studies],
            "failures": failed,
            "manifest": manifest.checksum,
        },
        files=checksums(*(arguments.output / STATISTICS_FILES[name] for name in names)),
    )


def _wait_for_trials(manifest: Manifest) -> None:
    """Wait until the trials of all cells are there: of those evaluated together Snakemake has seen their list only."""
    deadline = time.monotonic() + SECONDS_TO_APPEAR
    while missing := next((cell.path for cell in manifest.cells if not cell.path.is_file()), None):
        if time.monotonic() > deadline:
            raise UserError(f"{missing} is missing, although its job has finished: run again")
        time.sleep(1)


def _compute(manifest: Manifest, *, trials: pd.DataFrame, threads: int) -> dict[str, pd.DataFrame]:
    """Compute all tables, by name."""
    samples = TrialSamples(trials)
    replicates = bootstrap_cells(manifest, samples, threads=threads)
    return {
        "trials": trials,
        "cells": cell_table(manifest, samples, replicates),
        "reproduction": reproduction_table(manifest, samples, trials, replicates),
        **study_tables(manifest, samples, replicates, threads=threads),
    }


def _compute_healthy(
    manifest: Manifest, compute: Callable[[Manifest], dict[str, pd.DataFrame]]
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Compute the tables of all studies whose statistics do not fail; also return the reasons of the others.

    Raises what the computation raises if it fails for all.
    """
    try:
        return compute(manifest), {}
    except Exception as error:
        alone = {study.name: replace(manifest, studies=(study,)) for study in manifest.studies}
        if len(alone) < 2 or failures.ends_command(error):
            raise
        outcomes = {
            name: failures.attempt(partial(compute, of_study), name=f"the statistics of {name}")
            for name, of_study in alone.items()
        }
        failed = {name: out.reason for name, out in outcomes.items() if isinstance(out, failures.Failure)}
        if len(failed) in (0, len(alone)):
            raise
    healthy = tuple(study for study in manifest.studies if study.name not in failed)
    return compute(replace(manifest, studies=healthy)), failed


def study_tables(
    manifest: Manifest, samples: TrialSamples, replicates: BootstrapReplicates, *, threads: int = 1
) -> dict[str, pd.DataFrame]:
    """Build the tables about studies, by name (`schema.TABLES`)."""
    cells = [(study, manifest.cells_of(study)) for study in manifest.studies]
    entries = [entry for study, planned_cells in cells for entry in table_entries(study, planned_cells, samples)]
    all_contrasts = [
        contrast for study, planned_cells in cells for contrast in contrasts(study, planned_cells, samples, replicates)
    ]
    corpora, short = sources_of(manifest), short_clips(manifest)
    entry_rows = entry_table(
        entries, replicates, corpora=corpora, short=short, training=partial(training_fields, manifest)
    )
    return {
        "entries": entry_rows,
        "comparisons": comparison_table(all_contrasts),
        "across": across_table(all_contrasts),
        "ranks": rank_table(entries, replicates, threads=threads),
        "profiles": profile_table(entries),
        "variance": variance_table(entries, entry_rows["se_test_set"].tolist()),
        "seeds": seeds_table(all_contrasts),
        "classes": class_table(manifest),
    }


if __name__ == "__main__":
    run_command(main)
