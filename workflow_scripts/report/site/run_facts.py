"""Facts of a run, as terms with their values: scale, data, runs, evaluations and their cost."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.report import labels, number_format, status
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.statistics.tables.schema import MISSING


def list_facts(inputs: ReportInputs) -> Iterator[tuple[str, str]]:
    """Yield the facts of a run, in the order a reader asks for them."""
    measured = inputs.cells[inputs.cells["status"] != MISSING]
    yield "Scale", inputs.manifest.scale
    yield "Data", _data(measured) or "nothing measured yet"
    yield "Pre-trained encoders", _runs(inputs)
    yield "Evaluations", _evaluations(measured, planned=len(inputs.manifest.cells))
    if inputs.n_missing:
        planned = len(inputs.manifest.cells)
        yield "Missing", f"{inputs.n_missing:,} of {planned:,} evaluations are missing; their cells show the reason"
    else:
        yield "Missing", "nothing"
    yield "Cost", _cost(inputs)


def _data(measured: pd.DataFrame) -> str:
    """Return each evaluated data set with its source and test clips."""
    sets = measured.drop_duplicates(["dataset", "data_digest"]).to_dict("records")
    return "; ".join(
        f"{labels.name(record['dataset'])} ({record['source']}, {record['test_clips']:,} test clips)" for record in sets
    )


def _runs(inputs: ReportInputs) -> str:
    """Return the pre-training runs that have ended, with their encoders and corpora."""
    runs = inputs.manifest.pretrained_runs
    if not runs:
        return "none trained here"
    ended = sum(inputs.manifest.find_record(run.folder / result_files.RECORD) is not None for run in runs)
    count = number_format.count(len(runs), "runs") if ended == len(runs) else f"{ended:,} of {len(runs):,} runs"
    encoders, corpora = (
        labels.join(list(dict.fromkeys(labels.name(run.factors[factor]) for run in runs)))
        for factor in ("encoder", "corpus")
    )
    return f"{count}: {encoders}, on {corpora}"


def _evaluations(measured: pd.DataFrame, *, planned: int) -> str:
    cells = measured.drop_duplicates(list(FACTORS))
    trials = number_format.count(int(cells["n_trials"].sum()), "trials")
    return f"{len(cells):,} of {planned:,} planned, with {trials} in all"


def _cost(inputs: ReportInputs) -> str:
    """Return the time of all jobs, and that on GPUs."""
    records = inputs.records
    if not records:
        return "not recorded"
    on_gpu = [record.seconds for record in records if record.device.startswith(status.GPU)]
    gpu = f"of which {sum(on_gpu) / 3600:,.1f} GPU hours" if on_gpu else "no GPU"
    return (
        f"{number_format.duration(sum(record.seconds for record in records))} in "
        f"{number_format.count(len(records), 'jobs')}, {gpu}"
    )
