"""Explain one number of a table: its trials, what made them, and the command that makes them again.

    python -m workflow_scripts.explain wu2021_fig2 "PASE+, frozen" OpenMIC [--results results/smoke]

Table is the name of a study; row and column are as the table shows them, or the levels as configs name them.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Evaluation, Manifest, PlannedJob, Study, read_manifest
from workflow_scripts.report import labels as words
from workflow_scripts.report import renderers, study_table
from workflow_scripts.statistics.failure_reasons import why_missing
from workflow_scripts.statistics.tables.schema import read_tables
from workflow_scripts.statistics.trials import read_trials

PROFILE = "config/profiles/local"
PER_TRIAL = ("trial", "seed", "value", "train_clips", "epochs", "seconds")
PER_CELL = {
    "code": "code digest",
    "config": "config digest",
    "data": "data digest",
    "source": "data source",
    "test_clips": "test clips",
    "quarantined": "quarantined clips",
    "device": "device",
}
OF_RECORD = ("python", "platform", "started", "peak_memory_bytes")


def main(argv: list[str] | None = None) -> None:
    """Print everything behind one number; `UserError` for a name that is not there says which are."""
    arguments = _arguments(argv)
    plan_file = arguments.results / "statistics" / "plan.json"
    if not plan_file.is_file():
        others = [str(path.parents[1]) for path in sorted(arguments.results.glob("*/statistics/plan.json"))]
        such = f", such as {', '.join(others)}" if others else ""
        raise UserError(f"{plan_file}: no such file; name the folder of finished results with --results{such}")
    plan = read_manifest(str(plan_file))
    (study,) = plan.select([arguments.table])
    entry = _entry(study, plan, arguments.row, arguments.column)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for line in _explained(study, plan, entry, arguments.results):
        console.print(line)


def _entry(study: Study, plan: Manifest, row: str, column: str) -> list[Evaluation]:
    """The cells behind a number: those of the row that are also of the column."""
    evaluations = plan.evaluations_of(study)
    rows = _picked(evaluations, study.rows, row, what=f"row of {study.name}")
    measured = {
        f", {words.measure(metric).name}" for shown in (*study.metrics.values(), (study.metric,)) for metric in shown
    }
    column = column.removesuffix(next((name for name in measured if column.endswith(name)), ""))  # all are explained
    columns = _picked(evaluations, study.columns, column, what=f"column of {study.name}")
    found = [evaluation for evaluation in rows if evaluation in columns]
    if not found:
        raise UserError(f"{study.name} plans no cell for row {row!r} and column {column!r}")
    return found


def _picked(evaluations: Sequence[Evaluation], factors: Sequence[str], name: str, *, what: str) -> list[Evaluation]:
    """Evaluations whose levels of `factors` are called `name`, in words or as in configs."""
    by_key: dict[tuple[str, ...], list[Evaluation]] = {}
    for evaluation in evaluations:
        by_key.setdefault(tuple(evaluation.factors[factor] for factor in factors), []).append(evaluation)
    labels = {key: _label(words.name(level) for level in key) for key in by_key}
    wanted = _plain(name)
    found = [
        key for key, label in labels.items() if wanted in (_plain(label), _plain(_label(key)), _plain(" ".join(key)))
    ]
    if not found:
        raise UserError(f"no {what} is called {name!r}; there are: {'; '.join(labels.values())}")
    if len(found) > 1:
        raise UserError(f"{name!r} names more than one {what}; say which: {'; '.join(map(' '.join, found))}")
    return by_key[found[0]]


def _label(levels: Iterable[str]) -> str:
    """Levels as the label of a row: those that say "none" are left out."""
    return ", ".join(level for level in levels if level != study_table.NOTHING)


def _plain(text: str) -> str:
    return " ".join(text.replace(",", " ").split()).casefold()


def _explained(study: Study, plan: Manifest, entry: Sequence[Evaluation], results: Path) -> Iterator[str]:
    yield from _number(study, entry, results)
    for evaluation in entry:
        yield ""
        yield f"Pre-training seed {evaluation.factors['pretrain_seed']}: {evaluation.path}"
        for factor in FACTORS:
            yield f"  {words.name(factor)}: {evaluation.factors[factor]}"
        yield from _cell(study, evaluation) if evaluation.path.is_file() else [f"  {why_missing(evaluation)}"]
        yield from _made_from(evaluation.jobs)
        yield "  To make it again:"
        yield f"    {_command(evaluation, plan)}"


def _number(study: Study, entry: Sequence[Evaluation], results: Path) -> Iterator[str]:
    """The number, in each metric that is shown of the data set, as the table shows it."""
    table = study_table.build(study, read_tables(results / "statistics"))
    row = tuple(words.name(entry[0].factors[factor]) for factor in study.rows)
    levels = tuple(entry[0].factors[factor] for factor in study.columns)
    shown = next(each for each in table.rows if each.labels == row)
    yield f"{table.title}"
    for column, number in zip(table.columns, shown.entries, strict=True):
        if column.levels != levels:
            continue
        yield f"{shown.label}, {column.heading}: {renderers.entry_text(number, column.measure)}"
        errors = renderers.errors_text(number, column.measure)
        if errors:
            yield f"  standard errors: {errors}"
        if number.rank:
            yield f"  {renderers.RANK_WORDS[number.rank]}"
        if number.reason:
            yield f"  {number.reason}"
    yield f"  {table.notes[0]}"


def _cell(study: Study, evaluation: Evaluation) -> Iterator[str]:
    trials = read_trials(evaluation.path)
    if set(trials["code"]) != {evaluation.code} or set(trials["config"]) != {evaluation.config}:
        yield f"  These trials are stale: the plan expects code {evaluation.code} and config {evaluation.config}."
    for column, name in PER_CELL.items():
        yield f"  {name}: {', '.join(dict.fromkeys(str(value) for value in trials[column]))}"
    yield from (f"  {line}" for line in _record(evaluation.path.with_name("record.json")))
    for read in study.per_metric(evaluation.factors["dataset"]):
        mine = trials[trials["metric"] == read.metric].sort_values("trial")
        if mine.empty:
            yield f"  {read.metric} not measured; there are: {', '.join(dict.fromkeys(trials['metric']))}"
            continue
        yield f"  trials ({read.metric} as stored, from 0 to 1):"
        yield from (f"    {line}" for line in _trials(mine))


def _trials(mine: pd.DataFrame) -> list[str]:
    text: str = mine[list(PER_TRIAL)].rename(columns={"value": "metric"}).to_string(index=False)
    return text.splitlines()


def _record(path: Path) -> Iterator[str]:
    """What a job's record says of how it ran; energy where somebody measured it."""
    record = _read(path)
    for key, value in record.items():
        if key in OF_RECORD or key.startswith("energy"):
            yield f"{key.replace('_', ' ')}: {words.size(value) if key == 'peak_memory_bytes' else value}"
    versions = record.get("versions") or {}
    if versions:
        yield f"versions: {', '.join(f'{name} {version}' for name, version in versions.items())}"


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: run the job that writes it again") from error
    return content if isinstance(content, dict) else {}


def _made_from(jobs: Sequence[PlannedJob]) -> Iterator[str]:
    """The jobs before the evaluation, with what their records say."""
    before = jobs[:-1]
    if before:
        yield "  made from:"
    for job in before:
        record = _read(job.record)
        said = [f"code {record['code']}"] if "code" in record else []
        said += [words.duration(float(record["seconds"]))] if "seconds" in record else []
        said += [f"on {record['device']}"] if record.get("device") else []
        said += [f"energy {record[key]}" for key in record if key.startswith("energy")]
        yield f"    {job.stage}: {job.output}" + (f" ({', '.join(said)})" if said else "")


def _command(evaluation: Evaluation, plan: Manifest) -> str:
    """Make just this cell again; `--force` leaves what it was made from as it is, if that is still there."""
    files = ["--configfile", *plan.configfiles] if plan.configfiles else []
    return shlex.join(["snakemake", str(evaluation.path), "--force", "--profile", PROFILE, *files])


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="explain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", help="name of the study, such as wu2021_fig2")
    parser.add_argument("row", help='row of its table, such as "PASE+, frozen"')
    parser.add_argument("column", help="column of its table, such as OpenMIC")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: results)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
