"""Explain one number of a table: its trials, their provenance, and the command that reproduces them.

    python -m workflow_scripts.explain wu2021_fig2 "PASE+, frozen" OpenMIC [--results results/smoke]

The table is the name of a study; row and column are their labels in the table, with or without "(floor)" and the data
source, or level names of configs.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflow_scripts.core.checksums import find_record
from workflow_scripts.core.cli import command_parser
from workflow_scripts.core.console import PlainConsole
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.planning import layout
from workflow_scripts.planning.attempts import read_attempts
from workflow_scripts.planning.manifest import Manifest, PlannedCell, Study, read_manifest
from workflow_scripts.report import labels, number_format, status, study_table
from workflow_scripts.report.cell_explanation import CellExplanation, StoredTrials, explain_cell, print_numbers
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, read_tables
from workflow_scripts.statistics.trials import read_trials

#: what the table prints behind the label of a floor, and of a column
PRINTED = re.compile(r" \((floor|(twin|local|download)(, (twin|local|download))*)\)")


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
    """Yield the lines about a number."""
    table = study_table.build(study, read_tables(results / layout.STATISTICS_FOLDER))
    yield table.title
    method = tuple(entry[0].factors[factor] for factor in METHOD_FACTORS)
    for printed in print_numbers([(study, table)]).get(method, ()):
        yield f"{printed.row}, {printed.column}: {printed.number}"
        yield from (f"  {remark}" for remark in printed.remarks)
    yield from (f"  {note}" for note in (table.notes[0], *table.warnings))
    attempts = read_attempts(manifest.journal)
    metrics = [read.metric for read in study.per_metric(entry[0].factors["dataset"])]
    for cell in entry:
        trials = StoredTrials(read_trials(cell.path)).of(cell) if cell.path.is_file() else None
        jobs = status.list_statuses(replace(manifest, cells=(cell,)), attempts, compare_files=True)
        yield ""
        yield from _print_cell(
            explain_cell(
                cell,
                manifest,
                trials=trials,
                metrics=metrics,
                statuses={job.job: job for job in jobs},
                find=_find_record,
            )
        )


def _find_record(path: Path) -> dict[str, Any] | None:
    """Read a record; None if it is missing or damaged, which the state of its job says."""
    try:
        return find_record(path)
    except UserError:
        return None


def _print_cell(explained: CellExplanation) -> Iterator[str]:
    yield f"Pre-training seed {explained.seed}: {explained.cell.path}"
    yield from (f"  {factor}: {level}" for factor, _, level in explained.levels)
    yield from (f"  {line}" for line in (explained.missing, *explained.remarks) if line)
    yield from (f"  {name}: {value}" for name, value in explained.facts)
    yield from (f"  {line}" for line in explained.not_measured)
    if explained.trials:
        yield "  trials:"
        yield from (f"    {line}" for line in _align([explained.trials.headings, *explained.trials.rows]))
    if explained.jobs:
        yield "  provenance:"
    for job in explained.jobs:
        yield f"    {job.stage}: {job.output}" + (f" ({', '.join(job.facts)})" if job.facts else "")
    if explained.log:
        yield f"  log: {explained.log}"
    yield "  To reproduce it:"
    yield f"    {explained.command}"


def _align(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows of a table as lines, with columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


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
