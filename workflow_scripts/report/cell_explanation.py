"""Evidence behind one number, as data: `explain` prints it, and the page of the number in the report shows it."""

from __future__ import annotations

import functools
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import FindRecord
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.added_results import read_origin
from workflow_scripts.planning.manifest import Manifest, PlannedCell, PlannedJob, Study
from workflow_scripts.report import labels, number_format, status, table_text
from workflow_scripts.report.status import JobStatus
from workflow_scripts.report.study_table import Table
from workflow_scripts.statistics.failure_reasons import missing_reason

PROFILE = "config/profiles/local"
#: columns of trials that are one value in a cell, by what they are called
PER_CELL = {
    "code": "code digest",
    "config": "config digest",
    "data_digest": "data digest",
    "source": "data source",
    "test_clips": "test clips",
    "quarantined": "quarantined clips",
    "device": "device",
}
OF_RECORD = ("python", "platform", "started")
TRIAL_HEADINGS = ("Trial", "Seed")
TRAINING_HEADINGS = {
    "train_clips": "Training clips",
    "epochs": "Epochs",
    "learning_rate": "Learning rate",
    "seconds": "Seconds",
}
ADDED = "These trials were computed on another machine, with the jobs before them, and added from {}."
MORE_DECIMALS = 2  # of the value of a trial than of the mean in a table, so that the mean can be computed from them


@dataclass(frozen=True, kw_only=True)
class PrintedNumber:
    """A number as the table of a study prints it, with what the table says of it."""

    study: Study
    row: str
    column: str
    number: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """The trials of a cell: a row for each trial with its value in each metric."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class EarlierJob:
    """A job that must have run before the trials, with its code, time of all attempts, device, energy and state."""

    stage: str
    output: Path
    facts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CellExplanation:
    """The trials of one cell and where they come from; `missing` is why there are none."""

    cell: PlannedCell
    levels: tuple[tuple[str, str, str], ...]  # factor, label, name in configs
    missing: str
    remarks: tuple[str, ...]  # why the trials are not what was planned
    facts: tuple[tuple[str, str], ...]
    not_measured: tuple[str, ...]
    trials: TrialTable | None
    jobs: tuple[EarlierJob, ...]
    log: str
    command: str

    @property
    def seed(self) -> str:
        """Its pre-training seed."""
        return self.cell.factors["pretrain_seed"]


class StoredTrials:
    """Trials of many cells, looked up by cell."""

    def __init__(self, trials: pd.DataFrame) -> None:
        """Index a table of trials once, since a selection for each cell would read it all each time."""
        self._rows = trials.groupby(list(FACTORS), sort=False).indices if len(trials) else {}
        self._columns = {str(name): trials[name].to_numpy() for name in trials}

    def __contains__(self, cell: PlannedCell) -> bool:
        """Whether a cell has trials."""
        return cell.key in self._rows

    def of(self, cell: PlannedCell) -> Mapping[str, Sequence[Any]] | None:
        """Return the columns of a cell's trials; None if it has none."""
        rows = self._rows.get(cell.key)
        return None if rows is None else {name: column[rows].tolist() for name, column in self._columns.items()}


def print_numbers(studies: Iterable[tuple[Study, Table]]) -> dict[tuple[str, ...], list[PrintedNumber]]:
    """Return all numbers of the tables of studies, by the levels of their methods."""
    numbers: dict[tuple[str, ...], list[PrintedNumber]] = {}
    for study, table in studies:
        for row in table.rows:
            for column, entry in zip(table.columns, row.entries, strict=True):
                errors = table_text.std_errors_text(entry, column.measure)
                remarks = (
                    f"standard errors: {errors}" if errors else "",
                    table_text.RANK_WORDS.get(entry.rank, ""),
                    entry.reason,
                )
                numbers.setdefault(entry.method, []).append(
                    PrintedNumber(
                        study=study,
                        row=row.label,
                        column=column.heading,
                        number=table_text.entry_text(entry, column.measure),
                        remarks=tuple(filter(None, remarks)),
                    )
                )
    return numbers


def explain_cell(
    cell: PlannedCell,
    manifest: Manifest,
    *,
    trials: Mapping[str, Sequence[Any]] | None,
    metrics: Sequence[str],
    statuses: Mapping[PlannedJob, JobStatus],
    find: FindRecord,
    others: bool = False,
) -> CellExplanation:
    """Explain a cell from its trials, the states of its jobs and their records, which `find` reads.

    `metrics` are shown, and with `others` all others that were measured, behind them.
    """
    jobs = sorted((statuses[job] for job in cell.jobs), key=lambda job: status.STAGES.index(job.job.stage))
    place = next((place for place, job in enumerate(jobs) if job.job.stage == status.EVALUATE), len(jobs))
    own = jobs[place : place + 1]  # later jobs are those that only figures read
    record = find(cell.path.with_name(result_files.RECORD)) or {}
    measured = tuple(dict.fromkeys(trials["metric"])) if trials else ()
    absent = [metric for metric in metrics if metric not in measured] if trials else []
    return CellExplanation(
        cell=cell,
        levels=tuple(
            (labels.name(factor), labels.name(cell.factors[factor]), cell.factors[factor]) for factor in FACTORS
        ),
        missing="" if trials else missing_reason(cell),
        remarks=(
            *(_describe_staleness(cell, trials) if trials else ()),
            *(ADDED.format(origin) for origin in [read_origin(cell)] if origin),
            *(f"{job.state}: {job.reason}" for job in own if job.state in (status.STALE, status.DAMAGED)),
        ),
        facts=(*_list_trial_facts(trials or {}), *_list_record_facts(record, own)),
        not_measured=tuple(f"{metric} not measured; there are: {', '.join(measured)}" for metric in absent),
        trials=_tabulate(
            trials,
            [metric for metric in metrics if metric in measured],
            [metric for metric in measured if others and metric not in metrics],
        )
        if trials
        else None,
        jobs=tuple(_describe_job(job, find(job.job.record) or {}) for job in jobs[:place]),
        log=str(own[0].job.log) if own else "",
        command=_command(cell, manifest),
    )


def _describe_staleness(cell: PlannedCell, trials: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    if set(trials["code"]) != {cell.code} or set(trials["config"]) != {cell.config}:
        yield f"These trials are stale: the plan expects code {cell.code} and config {cell.config}."


def _list_trial_facts(trials: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, str]]:
    for column, name in PER_CELL.items():
        if column in trials:
            yield name, ", ".join(dict.fromkeys(str(value) for value in trials[column]))


def _list_record_facts(record: Mapping[str, Any], own: Sequence[JobStatus]) -> Iterator[tuple[str, str]]:
    """Yield what the record of the evaluation states of its run, and the time of all its attempts."""
    yield from ((key, str(record[key])) for key in OF_RECORD if record.get(key))
    for job in own:
        if job.seconds:
            attempts = f" in {number_format.count(job.attempts, 'attempts')}" if job.attempts else ""
            yield "time of all attempts", f"{number_format.duration(job.seconds)}{attempts}"
    if "peak_memory_bytes" in record:
        yield "peak memory", number_format.size(record["peak_memory_bytes"])
    yield from _list_energy(record)
    if record.get("versions"):
        yield "versions", ", ".join(f"{name} {version}" for name, version in record["versions"].items())


def _list_energy(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((key.replace("_", " "), str(record[key])) for key in record if key.startswith("energy"))


def _tabulate(trials: Mapping[str, Sequence[Any]], metrics: Sequence[str], others: Sequence[str]) -> TrialTable:
    """Return a row for each trial: its metrics in the printed unit, numbers of its training, and other metrics."""
    by_trial: dict[int, int] = {}
    values: dict[tuple[int, str], float] = {}
    for place, (trial, metric) in enumerate(zip(trials["trial"], trials["metric"], strict=True)):
        by_trial.setdefault(trial, place)
        values[trial, metric] = trials["value"][place]
    rows = [
        (
            str(trial),
            str(trials["seed"][place]),
            *(_format_value(values.get((trial, metric), math.nan), metric) for metric in metrics),
            *(f"{trials[column][place]:g}" for column in TRAINING_HEADINGS),
            *(_format_value(values.get((trial, metric), math.nan), metric) for metric in others),
        )
        for trial, place in sorted(by_trial.items())
    ]
    heads, tails = (
        [labels.capital(number_format.measure(name).heading) for name in part] for part in (metrics, others)
    )
    return TrialTable(headings=(*TRIAL_HEADINGS, *heads, *TRAINING_HEADINGS.values(), *tails), rows=tuple(rows))


def _format_value(value: float, metric: str) -> str:
    if not math.isfinite(value):
        return "undefined"
    measure = number_format.measure(metric)
    return number_format.number(value * measure.scale, measure.decimals + (MORE_DECIMALS if measure.is_rate else 0))


def _describe_job(job: JobStatus, record: Mapping[str, Any]) -> EarlierJob:
    facts = [f"code {record['code']}"] if "code" in record else []
    facts += [number_format.duration(job.seconds)] if "seconds" in record else []
    facts += [f"on {record['device']}"] if record.get("device") else []
    facts += [f"{name} {value}" for name, value in _list_energy(record)]
    facts += [f"{job.state}: {job.reason}"] if job.state != status.DONE else []
    return EarlierJob(stage=job.job.stage, output=job.job.output, facts=tuple(facts))


def _command(cell: PlannedCell, manifest: Manifest) -> str:
    """Return the command that runs this cell again; `--force` does not run existing upstream jobs again."""
    return shlex.join([".venv/bin/snakemake", str(cell.path), "--force", *_flags(manifest.configfiles)])


@functools.cache
def _flags(configfiles: tuple[str, ...]) -> tuple[str, ...]:
    return ("--profile", PROFILE, *(("--configfile", *configfiles) if configfiles else ()))
