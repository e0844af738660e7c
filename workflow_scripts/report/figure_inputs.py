"""Inputs of figures, read on first use: a study's table, trials, losses and predictions."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import CHECKSUMS, OWN, read_record, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.provenance import digest
from workflow_scripts.levels.factors import FACTORS, PRETRAINING
from workflow_scripts.planning import layout
from workflow_scripts.planning.manifest import Manifest, PlannedCell, PretrainedRun, Study
from workflow_scripts.report import labels, number_format
from workflow_scripts.report import study_table as tables
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics import trials
from workflow_scripts.statistics.csv_io import Kind, read_csv, require_aggregated
from workflow_scripts.statistics.data_sources import sources_of, training_fields
from workflow_scripts.statistics.predictions import Predictions, Windows, read_predictions, read_windows
from workflow_scripts.statistics.samples import TrialSample, TrialSamples, incomparability_reason
from workflow_scripts.statistics.tables import schema
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING, SETTINGS

SAMPLE_COLUMNS = (  # see `evidence_fields`
    *("n_trials", "n_pretraining_seeds", "test_clips", "source", "data_digest"),
    "tested_on_training_data",  # only in rows about a method
)
#: types of the non-text columns in figures' csv files, besides those of the statistics
KINDS: dict[str, Kind] = {
    **schema.KINDS,
    **dict.fromkeys(("half_width", "value", "baseline_mean", "loss", "weight", "size"), "number"),
    **dict.fromkeys(("start", "seconds", "confidence"), "number"),
    **dict.fromkeys(("crosses", "always", "never", "train_clips", "percent", "encoder_rate"), "number"),
    **dict.fromkeys(("x", "y", "perplexity", "agreement", "chance", "probability"), "number"),
    **dict.fromkeys(("bin_hz", "line_hz", "on_line", "line_chance", "linear_fit", "log_fit", "peak_hz"), "number"),
    **dict.fromkeys(("layer", "place", "filter"), "count"),
    **dict.fromkeys(("lower", "upper", "expected", "explained", "other_value", "null_low", "null_high"), "number"),
    **dict.fromkeys(("component", "of_component", "top", "distinct"), "count"),
    **dict.fromkeys(("epoch", "runs", "parameters", "clips", "positives", "points", "candidates"), "count"),
}
LOSSES: dict[str, Kind] = {"epoch": "integer", "split": "text", "worker": "text", "loss": "number", "weight": "number"}
NOT_RUN = "not run"
#: caption of every figure that draws `TableEstimate`
INTERVAL = (
    f"the {CONFIDENCE} confidence interval of the table. The interval covers trials, pre-training seeds where a method "
    "has several, and the test set where all its predictions are stored (column variance_sources of the figure's csv)"
)


class Statistics:
    """The files that `aggregate` wrote; each is read once for all studies."""

    def __init__(self, folder: Path) -> None:
        """Read from `folder`; raises `UserError` on access to a missing file."""
        self.folder = folder

    @functools.cached_property
    def digest(self) -> str:
        """Digest of all tables of the statistics; trials, which state the seconds they took, differ in every run."""
        files = read_record(self.folder / layout.STATISTICS_FILES["summary"])[CHECKSUMS]
        others = {OWN, *(layout.STATISTICS_FILES[name] for name in ("trials", "parquet"))}
        return digest({name: value for name, value in files.items() if name not in others})

    @functools.cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables about studies, by name."""
        return schema.read_tables(self.folder)

    @functools.cached_property
    def trials(self) -> pd.DataFrame:
        """Every trial."""
        path = self.folder / layout.STATISTICS_FILES["trials"]
        require_aggregated(path)
        return trials.read_trials(path, record=self.folder / layout.STATISTICS_FILES["summary"])


@dataclass(frozen=True, kw_only=True)
class TableEstimate:
    """A method's mean in the unit of the metric, with the interval of the table and its variance sources."""

    mean: float
    ci_low: float
    ci_high: float
    replicate: str
    n: int
    variance_sources: str

    def fields(self, scale: float) -> dict[str, object]:
        """Return the columns of a figure's numbers, in the printed unit."""
        return {
            "mean": self.mean * scale,
            "ci_low": self.ci_low * scale,
            "ci_high": self.ci_high * scale,
            "n": self.n,
            "replicate": self.replicate,
            "variance_sources": self.variance_sources,
        }


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of a study: the cells that differ only in the pre-training seed.

    `cells` are the measured ones of `planned_cells`, in the study's metric; `reason` is why some or all are
    missing.
    """

    levels: Mapping[str, str]
    floor: bool
    planned_cells: tuple[PlannedCell, ...]
    cells: tuple[TrialSample, ...]
    reason: str
    train_clips: float  # mean over the trials; not-a-number where nothing was measured
    estimate: TableEstimate | None  # None where nothing was measured
    tested_on_training_data: str = ""  # yes or no; empty where the data that others trained the encoder on is unknown

    @property
    def facts(self) -> dict[str, object]:
        """Columns of every row about this method."""
        return {
            **self.levels,
            "status": schema.MEASURED if self.cells else MISSING,
            "reason": self.reason,
            "tested_on_training_data": self.tested_on_training_data,
            **evidence_fields(self.cells),
        }

    def fields(self, scale: float) -> dict[str, object]:
        """Return `facts` with the columns of the estimate, if there is one."""
        return self.facts | (self.estimate.fields(scale) if self.estimate else {})


@dataclass(frozen=True)
class Evidence:
    """Inputs about one study."""

    study: Study
    manifest: Manifest
    statistics: Statistics

    @functools.cached_property
    def table(self) -> tables.Table:
        """The study's table."""
        return tables.build(self.study, self.statistics.tables)

    @property
    def entries(self) -> pd.DataFrame:
        """The table's entries in the study's metric, in the printed unit."""
        entries = tables.tidy(self.study, self.statistics.tables["entries"])
        return entries[entries["metric"] == self.study.metric]

    @property
    def measure(self) -> number_format.Measure:
        """Name, unit and scale of the study's metric."""
        return number_format.measure(self.study.metric)

    @functools.cached_property
    def trials(self) -> pd.DataFrame:
        """The study's trials, all metrics, in the order of `trials.csv`."""
        planned = pd.DataFrame([cell.factors for cell in self.manifest.cells_of(self.study)], columns=list(FACTORS))
        return self.statistics.trials.merge(planned, on=list(FACTORS), how="inner")

    @functools.cached_property
    def methods(self) -> tuple[Method, ...]:
        """Every planned method of the study, measured or not, in planned order."""
        cells, metric = TrialSamples(self.trials), self.study.metric
        clips = self.trials.groupby(list(FACTORS))["train_clips"].mean().to_dict()
        estimates = self._estimates()
        groups: dict[tuple[str, ...], list[PlannedCell]] = {}
        for cell in self.manifest.cells_of(self.study):
            groups.setdefault(tuple(cell.factors[factor] for factor in METHOD_FACTORS), []).append(cell)
        methods = []
        for key, planned_cells in groups.items():
            reasons = [cells.reason_missing(cell, metric) for cell in planned_cells]
            samples = [
                cells.get(cell, metric) for cell, reason in zip(planned_cells, reasons, strict=True) if not reason
            ]
            measured = tuple(cell for cell in samples if cell is not None)
            objection = incomparability_reason(measured)
            if objection:
                measured, reasons = (), [f"not comparable: {objection}"]
            methods.append(
                Method(
                    levels=dict(zip(METHOD_FACTORS, key, strict=True)),
                    floor=planned_cells[0].factors["encoder"] in self.study.floors,
                    planned_cells=tuple(planned_cells),
                    cells=measured,
                    reason="; ".join(dict.fromkeys(filter(None, reasons))),
                    train_clips=float(np.mean([clips[cell.key] for cell in measured])) if measured else np.nan,
                    estimate=estimates[key] if measured else None,
                    tested_on_training_data=self._tested_on_training_data(planned_cells[0]) if measured else "",
                )
            )
        return tuple(methods)

    def _tested_on_training_data(self, cell: PlannedCell) -> str:
        return training_fields(self.manifest, cell.factors)["tested_on_training_data"]

    def _estimates(self) -> dict[tuple[str, ...], TableEstimate]:
        """Return the table's estimates of the measured methods in the study's metric, by the methods' levels."""
        entries = self.statistics.tables["entries"]
        of_study = entries[(entries["study"] == self.study.name) & (entries["metric"] == self.study.metric)]
        estimates = {}
        for record in of_study[of_study["status"] == schema.MEASURED].to_dict("records"):
            over_trials = record["replicate"] == "trials"
            estimates[tuple(record[factor] for factor in METHOD_FACTORS)] = TableEstimate(
                mean=record["mean"],
                ci_low=record["ci_low"],
                ci_high=record["ci_high"],
                replicate=record["replicate"],
                n=int(record["n_trials"]) if over_trials else len(record["pretrain_seeds"].split()),
                variance_sources=record["variance_sources"],
            )
        return estimates

    def losses(self) -> pd.DataFrame:
        """Rows of `losses.csv` of the study's runs trained here, with a column for each pre-training factor.

        A run without losses has one row with the worker "" and epoch 0. Raises `UserError` for a damaged file.
        """
        parts = [self._losses_of(run) for run in self.runs]
        columns = [*PRETRAINING, *LOSSES]
        return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)

    def _losses_of(self, run: PretrainedRun) -> pd.DataFrame:
        path = run.folder / result_files.LOSSES
        if not self.manifest.is_recorded(path):
            rows = pd.DataFrame([{"epoch": 0, "split": "", "worker": "", "loss": np.nan, "weight": np.nan}])
            return rows.assign(**run.factors)
        require_unchanged(path)
        return read_csv(path, LOSSES).assign(**run.factors)

    @property
    def runs(self) -> list[PretrainedRun]:
        """Runs of the study that are trained here."""
        planned_cells = self.manifest.cells_of(self.study)
        runs = {tuple(cell.factors[factor] for factor in PRETRAINING) for cell in planned_cells}
        return [run for run in self.manifest.pretrained_runs if tuple(run.factors.values()) in runs]

    def recipe_of(self, run: PretrainedRun) -> dict[str, Any] | None:
        """Return the recipe in the record of a run; None where it was not run."""
        record = self.manifest.find_record(run.folder / result_files.RECORD)
        return None if record is None else record["config"]["recipe"]

    @functools.cached_property
    def sources(self) -> dict[str, str]:
        """Source of each prepared corpus' audio: twin, local or download."""
        return sources_of(self.manifest)

    def predictions_of(self, method: Method) -> list[Predictions]:
        """Read the predictions of a method's measured cells, in their order."""
        keys = {cell.key for cell in method.cells}
        return [self.predictions(cell) for cell in method.planned_cells if cell.key in keys]

    def predictions(self, cell: PlannedCell) -> Predictions:
        """Read the predictions of a measured cell; `UserError` if the file is missing or damaged."""
        return read_predictions(cell.path.with_name(result_files.PREDICTIONS))

    def windows(self, cell: PlannedCell) -> Windows | None:
        """Read the windows of a measured cell's first trial, scores as float64; None where its head reads whole clips.

        Raises `UserError` as `predictions` does.
        """
        windows = read_windows(cell.path.with_name(result_files.PREDICTIONS))
        return None if windows is None else replace(windows, scores=windows.scores.astype(np.float64))


def evidence_fields(cells: Sequence[TrialSample]) -> dict[str, object]:
    """Return the columns on the trials, seeds, clips and data behind a number from these cells; empty without cells."""
    if not cells:
        return {}
    return {
        "n_trials": min(len(cell.values) for cell in cells),
        "n_pretraining_seeds": sum(cell.pretrained for cell in cells),
        "test_clips": cells[0].test_clips,
        "source": " ".join(dict.fromkeys(cell.source for cell in cells)),
        "data_digest": " ".join(dict.fromkeys(cell.data_digest for cell in cells)),
    }


def select_methods(methods: Iterable[Method], levels: Mapping[str, object]) -> list[Method]:
    """Return the methods that have all these levels."""
    return [
        method for method in methods if all(method.levels.get(name) == str(level) for name, level in levels.items())
    ]


def select_method(methods: Iterable[Method], levels: Mapping[str, object], *, where: str) -> Method:
    """Return the only method that has all these levels; without or with several raises `UserError`, led by `where`."""
    selected = select_methods(methods, levels)
    if len(selected) != 1:
        raise UserError(f"{where} picks {len(selected)} methods with {dict(levels)}, not one")
    return selected[0]


def group_by_panel(methods: Sequence[Method], *, varying: Sequence[str]) -> dict[str, list[Method]]:
    """Group methods into panels, by label: within a panel only the factors `varying` differ.

    Every other factor in which the methods differ makes panels, and the data set always does. Floors differ from
    methods in the pre-training factors by nature, so each panel of their data set, head, fraction and protocol has
    them.
    """
    trained = [method for method in methods if not method.floor]
    panel_factors = [
        factor
        for factor in METHOD_FACTORS
        if factor not in varying and (factor == "dataset" or len({method.levels[factor] for method in trained}) > 1)
    ]
    panel_factors.sort(key=lambda factor: factor != "dataset")
    panels: dict[tuple[str, ...], list[Method]] = {}
    for method in trained:
        panels.setdefault(tuple(method.levels[factor] for factor in panel_factors), []).append(method)
    shared = [factor for factor in panel_factors if factor in SETTINGS]
    for key, members in panels.items():
        setting = dict(zip(panel_factors, key, strict=True))
        members += [
            method for method in methods if method.floor and all(method.levels[f] == setting[f] for f in shared)
        ]
    return {", ".join(labels.name(level) for level in key): members for key, members in panels.items()}


def method_columns(key: str, values: str) -> tuple[str, ...]:
    """Return the columns of a figure with methods: `key` identifies a row beside the method's levels."""
    return (
        *f"study metric unit panel {key}".split(),
        *METHOD_FACTORS,
        *f"status reason {values}".split(),
        *SAMPLE_COLUMNS,
    )


def as_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Return the numbers behind a figure as a table; counts with gaps stay whole numbers, missing text is empty.

    A column that is not in `KINDS` is text.
    """
    table = pd.DataFrame([dict(row) for row in rows], columns=list(columns))
    for column in columns:
        kind = KINDS.get(column, "text")
        if kind == "text":
            assert not any(isinstance(value, float) and pd.notna(value) for value in table[column]), (
                f"column {column} has numbers: add it to KINDS"
            )
            table[column] = [str(value) if pd.notna(value) else "" for value in table[column]]
        else:
            table[column] = table[column].astype("Int64" if kind in ("count", "integer") else "float64")
    return table


def read_numbers(path: Path) -> pd.DataFrame:
    """Read the numbers behind a figure that `draw` wrote; raises `UserError` if it is missing or changed."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run draw first")
    require_unchanged(path, record=path.with_suffix(".json"))
    return read_csv(path, {name: KINDS.get(name, "text") for name in pd.read_csv(path, nrows=0).columns})
