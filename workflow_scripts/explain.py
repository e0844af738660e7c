"""Explain one number of a table: its trials, their provenance, and the command that reproduces them.

    python -m workflow_scripts.explain wu2021_fig2 "PASE+, frozen" OpenMIC [--results results/smoke]

The table is the name of a study; row and column are their labels in the table, with or without "(floor)" and the data
source, or level names of configs.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.cli import command_parser
from workflow_scripts.core.console import PlainConsole
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.validation import parse_json
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning import layout
from workflow_scripts.planning.attempts import read_attempts
from workflow_scripts.planning.manifest import Manifest, PlannedCell, Study, read_manifest
from workflow_scripts.report import labels, number_format, renderers, status, study_table
from workflow_scripts.statistics.failure_reasons import missing_reason
from workflow_scripts.statistics.tables.schema import read_tables
from workflow_scripts.statistics.trials import read_trials

PROFILE = "config/profiles/local"
PER_TRIAL = ("trial", "seed", "value", "train_clips", "epochs", "seconds")
PER_CELL = {
    "code": "code digest",
    "config": "config digest",
    "data_digest": "data digest",
    "source": "data source",
    "test_clips": "test clips",
    "quarantined": "quarantined clips",
    "device": "device",
}
#: what the table prints behind the label of a floor, and of a column
PRINTED = re.compile(r" \((floor|(twin|local|download)(, (twin|local|download))*)\)")
OF_RECORD = ("python", "platform", "started", "peak_memory_bytes")


def main(argv: list[str] | None = None) -> None:
    """Print the provenance of one number. Raises `UserError` that lists the valid names."""
    arguments = _arguments(argv)
    plan_file = arguments.results / layout.STATISTICS_FOLDER / layout.MANIFEST
    if not plan_file.is_file():
        others = [
            str(path.parents[1])
            for path in sorted(arguments.results.glob(f"*/{layout.STATISTICS_FOLDER}/{layout.MANIFEST}"))
        ]
        examples = f", such as {', '.join(others)}" if others else ""
        raise UserError(f"{plan_file}: no such file; name the folder of finished results with --results{examples}")
    manifest = read_manifest(str(plan_file), statistics=plan_file.parent)
    labels.use_labels_of(manifest)
    (study,) = manifest.select([arguments.table])
    entry = _entry(study, manifest, arguments.row, arguments.column)
    console = PlainConsole(soft_wrap=True, markup=False, highlight=False)
    for line in _explain(study, manifest, entry, arguments.results):
        console.print(line)


def _entry(study: Study, manifest: Manifest, row: str, column: str) -> list[PlannedCell]:
    """Return the cells of a number: those of its row that are also in its column."""
    cells = manifest.cells_of(study)
    rows = _select_cells(cells, study.rows, row, kind=f"row of {study.name}")
    metrics = {metric for metrics in (*study.metrics.values(), (study.metric,)) for metric in metrics}
    endings = {f", {number_format.measure(metric).name}" for metric in metrics}
    label = PRINTED.sub("", column)
    ending = next((name for name in endings if label.endswith(name)), "")
    column = label.removesuffix(ending) if ending else column  # all metrics are explained
    columns = _select_cells(cells, study.columns, column, kind=f"column of {study.name}")
    cells = [cell for cell in rows if cell in columns]
    if not cells:
        raise UserError(f"{study.name} plans no cell for row {row!r} and column {column!r}")
    return cells


def _select_cells(cells: Sequence[PlannedCell], factors: Sequence[str], name: str, *, kind: str) -> list[PlannedCell]:
    """Return the cells whose levels of `factors` have the label or the config names `name`."""
    by_key: dict[tuple[str, ...], list[PlannedCell]] = {}
    for cell in cells:
        by_key.setdefault(tuple(cell.factors[factor] for factor in factors), []).append(cell)
    row_labels = {key: _label(labels.name(level) for level in key) for key in by_key}
    names = {_simplify(name), _simplify(PRINTED.sub("", name))}
    keys = [
        key
        for key, label in row_labels.items()
        if names & {_simplify(label), _simplify(_label(key)), _simplify(" ".join(key))}
    ]
    if not keys:
        raise UserError(f"no {kind} is called {name!r}; there are: {'; '.join(row_labels.values())}")
    if len(keys) > 1:
        raise UserError(f"{name!r} names more than one {kind}; say which: {'; '.join(map(' '.join, keys))}")
    return by_key[keys[0]]


def _label(levels: Iterable[str]) -> str:
    """Return the label of a row from the labels of its levels, without "none"."""
    return ", ".join(level for level in levels if level != labels.NOTHING)


def _simplify(text: str) -> str:
    return " ".join(text.replace(",", " ").split()).casefold()


def _explain(study: Study, manifest: Manifest, entry: Sequence[PlannedCell], results: Path) -> Iterator[str]:
    yield from _number(study, entry, results)
    attempts = read_attempts(manifest.journal)
    for cell in entry:
        yield ""
        yield f"Pre-training seed {cell.factors['pretrain_seed']}: {cell.path}"
        for factor in FACTORS:
            yield f"  {labels.name(factor)}: {cell.factors[factor]}"
        yield from _cell(study, cell) if cell.path.is_file() else [f"  {missing_reason(cell)}"]
        yield from _provenance(status.list_statuses(replace(manifest, cells=(cell,)), attempts, compare_files=True))
        yield "  To reproduce it:"
        yield f"    {_command(cell, manifest)}"


def _number(study: Study, entry: Sequence[PlannedCell], results: Path) -> Iterator[str]:
    """Yield the number as the table shows it, in each metric of the data set."""
    table = study_table.build(study, read_tables(results / layout.STATISTICS_FOLDER))
    row = tuple(labels.name(entry[0].factors[factor]) for factor in study.rows)
    levels = tuple(entry[0].factors[factor] for factor in study.columns)
    printed_row = next(other for other in table.rows if other.labels == row)
    yield f"{table.title}"
    for column, number in zip(table.columns, printed_row.entries, strict=True):
        if column.levels != levels:
            continue
        yield f"{printed_row.label}, {column.heading}: {renderers.entry_text(number, column.measure)}"
        errors = renderers.std_errors_text(number, column.measure)
        if errors:
            yield f"  standard errors: {errors}"
        if number.rank:
            yield f"  {renderers.RANK_WORDS[number.rank]}"
        if number.reason:
            yield f"  {number.reason}"
    yield from (f"  {note}" for note in (table.notes[0], *table.warnings))


def _cell(study: Study, cell: PlannedCell) -> Iterator[str]:
    trials = read_trials(cell.path)
    if set(trials["code"]) != {cell.code} or set(trials["config"]) != {cell.config}:
        yield f"  These trials are stale: the plan expects code {cell.code} and config {cell.config}."
    for column, name in PER_CELL.items():
        yield f"  {name}: {', '.join(dict.fromkeys(str(value) for value in trials[column]))}"
    yield from (f"  {line}" for line in _record(cell.path.with_name(result_files.RECORD)))
    for read in study.per_metric(cell.factors["dataset"]):
        rows = trials[trials["metric"] == read.metric].sort_values("trial")
        if rows.empty:
            yield f"  {read.metric} not measured; there are: {', '.join(dict.fromkeys(trials['metric']))}"
            continue
        yield f"  trials ({read.metric} as stored, from 0 to 1):"
        yield from (f"    {line}" for line in _trials(rows))


def _trials(rows: pd.DataFrame) -> list[str]:
    text: str = rows[list(PER_TRIAL)].rename(columns={"value": "metric"}).to_string(index=False)
    return text.splitlines()


def _record(path: Path) -> Iterator[str]:
    """Yield the lines of a job's record on its run, with the energy if it was measured."""
    record = _read(path)
    for key, value in record.items():
        if key in OF_RECORD or key.startswith("energy"):
            yield f"{key.replace('_', ' ')}: {number_format.size(value) if key == 'peak_memory_bytes' else value}"
    versions = record.get("versions") or {}
    if versions:
        yield f"versions: {', '.join(f'{name} {version}' for name, version in versions.items())}"


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: run the job that writes it again") from error
    return content if isinstance(content, dict) else {}


def _provenance(jobs: Sequence[status.JobStatus]) -> Iterator[str]:
    """Yield why the trials are stale or damaged, then the jobs before them with code, time, device and state.

    Jobs after the trials, which only figures read, are left out. Times are those of all attempts.
    """
    place = next((place for place, job in enumerate(jobs) if job.job.stage == status.EVALUATE), len(jobs))
    before = jobs[:place]
    changed = (status.STALE, status.DAMAGED)
    yield from (f"  {job.state}: {job.reason}" for job in jobs[place : place + 1] if job.state in changed)
    if before:
        yield "  provenance:"
    for job in before:
        record = _read(job.job.record)
        facts = [f"code {record['code']}"] if "code" in record else []
        facts += [number_format.duration(job.seconds)] if "seconds" in record else []
        facts += [f"on {record['device']}"] if record.get("device") else []
        facts += [f"energy {record[key]}" for key in record if key.startswith("energy")]
        facts += [f"{job.state}: {job.reason}"] if job.state != status.DONE else []
        yield f"    {job.job.stage}: {job.job.output}" + (f" ({', '.join(facts)})" if facts else "")


def _command(cell: PlannedCell, manifest: Manifest) -> str:
    """Return the command that runs this cell again; `--force` does not run existing upstream jobs again."""
    files = ["--configfile", *manifest.configfiles] if manifest.configfiles else []
    return shlex.join([".venv/bin/snakemake", str(cell.path), "--force", "--profile", PROFILE, *files])


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = command_parser("explain", __doc__)
    parser.add_argument("table", help="name of the study, such as wu2021_fig2")
    parser.add_argument("row", help='row of its table, such as "PASE+, frozen"')
    parser.add_argument("column", help="column of its table, such as OpenMIC")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: results)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
