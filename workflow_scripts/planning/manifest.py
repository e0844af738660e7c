"""Manifest: the cells and studies that planning hands to statistics and report, as `plan.json` holds them."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo

from workflow_scripts.configuration.published import Statement
from workflow_scripts.configuration.study import FigureChoice, ListeningPage
from workflow_scripts.core import validation
from workflow_scripts.core.checksums import CHECKSUMS, OWN, find_record, parse_record, read_record, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.provenance import digest
from workflow_scripts.core.result_files import CORPUS_FACTS, file_to_delete, record_of
from workflow_scripts.levels.factors import DOWNSTREAM, FACTORS, NONE, PRETRAINING
from workflow_scripts.planning.layout import STATISTICS_FILES

STDIN = "-"
ACQUIRE = "acquire"  # the stage of data sets, whose files may be terabytes and have no checksums

#: levels of some factors; levels are text everywhere in statistics and report
Levels = Annotated[
    Mapping[str, str], BeforeValidator(lambda levels: {factor: str(level) for factor, level in levels.items()})
]
#: level of every factor, and of every pre-training factor, in their order
CellLevels = Annotated[Levels, AfterValidator(lambda levels: {factor: levels[factor] for factor in FACTORS})]
RunLevels = Annotated[Levels, AfterValidator(lambda levels: {factor: levels[factor] for factor in PRETRAINING})]


def _with_encoder(rows: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Return the factors of a study's rows with the encoder, which alone identifies a floor."""
    return rows if "encoder" in rows or not info.data["floors"] else ("encoder", *rows)


def _parse_statement(content: object) -> Statement:
    return content if isinstance(content, Statement) else validation.validate(Statement, content)


class PlannedJob(NamedTuple):
    """A job that must have run before a cell has trials: its stage (the name of its command) and three of its files.

    `code` and `config` are the digests that its record should have; empty if they are not known.
    """

    stage: str
    output: Path  # the first one that its rule declares
    record: Path
    log: Path
    code: str = ""
    config: str = ""

    @property
    def cell_folder(self) -> str:
        """Folder of a cell below that of its data set, by which the log of a job that evaluates many names it."""
        return "/".join(self.output.parent.parts[-len(DOWNSTREAM) + 1 :])

    def read_record(self) -> dict[str, Any]:
        """Read its record; `UserError` if it is missing, changed, of another run or of an older plan."""
        record = read_record(self.record)
        if self.output.name == CORPUS_FACTS:  # it has the checksums of the other files, and the record has its own
            require_unchanged(self.output, record=self.record)
        if self.code and (record.get("code"), digest(record.get("config"))) != (self.code, self.config):
            raise UserError(
                f"{self.record} is of another run or an older plan: run the workflow again; if that changes nothing, "
                f"delete {file_to_delete(self.output)} first"
            )
        return record


@dataclass(frozen=True, kw_only=True)
class Training:
    """Numbers of a cell's training that its results depend on.

    `learning_rates` are those of the phases or, if `n_learning_rates` is above 1, those that each trial tries.
    """

    learning_rates: tuple[float, ...]
    max_epochs: int
    n_learning_rates: int = 1


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """One cell of one run: the path of its trials, and the digests that they should carry."""

    path: Path
    code: str
    config: str
    factors: CellLevels
    studies: tuple[str, ...]
    training: Training | None = None  # None where it is not known
    jobs: tuple[
        PlannedJob, ...
    ] = ()  # all that the cell needs, in the order they run, then those that only figures read

    def matches(self, levels: Levels) -> bool:
        """Whether these are levels of the cell; a cell of an imported checkpoint matches only if `corpus` is given."""
        imported = self.factors["corpus"] != NONE and self.factors["workers"] == NONE
        return all(self.factors[factor] == level for factor, level in levels.items()) and (
            "corpus" in levels or not imported
        )

    @property
    def key(self) -> tuple[str, ...]:
        """Levels in the order of `FACTORS`."""
        return tuple(self.factors[factor] for factor in FACTORS)

    def job(self, stage: str) -> PlannedJob | None:
        """Return the first job of a stage: of the evaluated data set, which comes before that of pre-training."""
        return next((job for job in self.jobs if job.stage == stage), None)


@dataclass(frozen=True, kw_only=True)
class PretrainedRun:
    """A run trained here: the folder with its losses, and its level of each pre-training factor."""

    folder: Path
    factors: RunLevels
    separation_code: str = ""  # code digest of its separation quality; empty if the run separates no sources


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Data sets that others trained an encoder on; `evaluated` are those of the plan that share recordings with one."""

    names: tuple[str, ...]
    evaluated: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """Facts of a data set that the report states: its licence, and whether it may play its clips."""

    license: str
    audio: bool = False


@dataclass(frozen=True, kw_only=True)
class Program:
    """Version of Prelude that made the plan, and its commit; empty where they are not known."""

    version: str = ""
    commit: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A contrast declared before any result was known: `treatment` minus `reference`, both given by levels."""

    name: str
    treatment: Annotated[Levels, Field(alias="better")]
    reference: Annotated[Levels, Field(alias="than")]


@dataclass(frozen=True, kw_only=True)
class Study:
    """One table or figure: the factors of its rows and columns, the encoders that are floors, and the comparisons.

    `metrics` are those of each data set that the table shows and the comparisons use; a data set without an entry has
    `metric` alone. Figures show `metric`.
    """

    name: str
    title: str
    question: str
    metric: str
    floors: tuple[str, ...] = ()
    rows: Annotated[tuple[str, ...], AfterValidator(_with_encoder)]
    columns: tuple[str, ...]
    comparisons: tuple[Comparison, ...] = ()
    figure: FigureChoice | None = None
    notes: str = ""
    deviations: bool = False  # whether the table prints standard deviations
    detect: float | None = None  # difference that more pre-training seeds should be able to show, in printed points
    statements: tuple[Annotated[Statement, BeforeValidator(_parse_statement)], ...] = ()
    cells: tuple[int, ...] = ()  # places among the manifest's cells, in the study's own order
    metrics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listening: ListeningPage | None = None  # whether it has a page to listen to filters

    def __post_init__(self) -> None:
        """Refuse an unknown factor in rows, columns, comparisons or statements."""
        sides: list[Levels] = [side for item in self.comparisons for side in (item.treatment, item.reference)]
        sides += [step for statement in self.statements for step in (*statement.of_steps, *statement.over_steps)]
        unknown = {*self.rows, *self.columns, *(factor for side in sides for factor in side)} - {*FACTORS}
        if unknown:
            allowed = ", ".join(FACTORS)
            raise UserError(f"study {self.name}: unknown factor {', '.join(sorted(unknown))}; allowed: {allowed}")

    def per_metric(self, dataset: str) -> list[Study]:
        """Return the study once for each metric of a data set, with that as its `metric`."""
        return [replace(self, metric=metric) for metric in self.metrics.get(dataset, (self.metric,))]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that the studies of one config need."""

    scale: str
    cells: tuple[PlannedCell, ...]
    studies: tuple[Study, ...]
    records: tuple[tuple[str, Path], ...] = ()  # stage and record of each job before the cells
    corpora: tuple[Path, ...] = ()  # folders of the prepared corpora
    audits: tuple[Path, ...] = ()  # numbers of the audit of each evaluated data set
    audit_jobs: tuple[PlannedJob, ...] = ()  # their jobs
    pretrained_runs: tuple[PretrainedRun, ...] = ()
    sample_rates: Mapping[str, int] = field(default_factory=dict)  # in Hz, of each encoder
    training_data: Mapping[str, TrainingData] = field(default_factory=dict)  # of checkpoints that state it, by name
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of levels in tables, by factor and level
    datasets: Mapping[str, DatasetFacts] = field(default_factory=dict)  # of the prepared corpora, by name
    configfiles: tuple[str, ...] = ()  # files over the default config
    config: Mapping[str, Any] = field(default_factory=dict)  # the merged config
    program: Program = Program()
    journal: Path = Path()  # of the attempts of all jobs
    unfinished: bool = False  # after a run that failed: some cells are missing, others may be stale
    checksum: str = ""  # of the text that it was read from

    def cells_of(self, study: Study) -> list[PlannedCell]:
        """Return the cells of a study in its own order, whatever other studies share cells with it."""
        return [self.cells[place] for place in study.cells]

    def select(self, names: Sequence[str]) -> list[Study]:
        """Return the studies called `names`, or all if none is named; `UserError` for an unknown name."""
        studies = {study.name: study for study in self.studies}
        unknown = [name for name in names if name not in studies]
        if unknown:
            raise UserError(f"unknown study {', '.join(unknown)}; the plan has: {', '.join(studies) or 'none'}")
        return [studies[name] for name in names] or list(self.studies)

    def find_record(self, path: Path) -> dict[str, Any] | None:
        """Read the record of a planned job, or the facts of a corpus; None if there is none.

        Raises `UserError` if it is not as its job wrote it, or if it is of another run or an older plan. After a run
        that failed it counts as missing then, and also if one of the job's files is not as it wrote it.
        """
        try:
            record = find_record(path)
            if record is not None and path in self._jobs:
                self._jobs[path].read_record()
            for name in record[CHECKSUMS].keys() - {OWN} if record and self.unfinished else ():
                require_unchanged(path.with_name(name), record=path)
            return record
        except UserError:
            if self.unfinished:
                return None
            raise

    def is_recorded(self, path: Path) -> bool:
        """Return whether the planned job of a result has written it, whether or not the file still exists."""
        record = self.find_record(record_of(path))
        return record is not None and path.name in record[CHECKSUMS]

    @functools.cached_property
    def _jobs(self) -> dict[Path, PlannedJob]:
        """Jobs of which the digests are planned, by their records and by the facts of corpora."""
        planned = {job for jobs in (self.audit_jobs, *(cell.jobs for cell in self.cells)) for job in jobs if job.code}
        of_files = [job for job in planned if job.stage != ACQUIRE]
        return {path: job for job in of_files for path in (job.record, job.output) if path.suffix == ".json"}

    @property
    def digest(self) -> str:
        """Digest of the plan, whatever the names of config files, the commit, and entries of the config not used."""
        return digest(replace(self, configfiles=(), config={}, program=Program()).to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the content of `plan.json`: studies by name, and a job that several cells need is listed once."""
        shared = dict.fromkeys(job for cell in self.cells for job in cell.jobs)
        jobs = {job: number for number, job in enumerate(shared)}
        content: dict[str, Any] = ADAPTER.dump_python(
            self, mode="json", by_alias=True, exclude={"cells": {"__all__": {"jobs"}}, "checksum": True}
        )
        for cell, entry in zip(self.cells, content["cells"], strict=True):
            entry["jobs"] = [jobs[job] for job in cell.jobs]
        return content | {
            "studies": {entry.pop("name"): entry for entry in content["studies"]},
            "jobs": [[job.stage, *map(str, job[1:])] for job in jobs],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Manifest:
        """Return the manifest that decoded JSON describes; `UserError` for an unknown factor or a duplicate cell."""
        jobs = [
            PlannedJob(stage, Path(output), Path(record), Path(log), *digests)
            for stage, output, record, log, *digests in content.get("jobs", ())
        ]
        cells = [{**cell, "jobs": [jobs[number] for number in cell.get("jobs", ())]} for cell in content["cells"]]
        studies = [{"name": name, **study} for name, study in content["studies"].items()]
        try:
            manifest = ADAPTER.validate_python({**content, "cells": cells, "studies": studies})
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            raise UserError(f"not a manifest: {'.'.join(map(str, detail['loc']))}: {detail['msg']}") from error
        _require_distinct(manifest.cells)
        return manifest


ADAPTER = TypeAdapter(Manifest)


def read_manifest(path: str, *, statistics: Path | None = None) -> Manifest:
    """Read a manifest from a JSON file, or from standard input if `path` is "-".

    Raises `UserError` if it is not one or not as `plan` wrote it, or if it lies in the folder of `statistics` that were
    computed with another manifest.
    """
    try:
        text = sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        manifest = replace(Manifest.from_json(parse_record(text, Path(path))), checksum=checksum)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"--manifest {path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--manifest {path}: not JSON ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--manifest {path}: not a manifest ({type(error).__name__}: {error})") from error
    if statistics is not None and Path(path).parent == statistics:
        summary = read_record(statistics / STATISTICS_FILES["summary"])
        if summary["manifest"] != checksum:
            raise UserError(f"{path} is not the plan of the statistics beside it: delete it and run again")
    return manifest


def _require_distinct(cells: Iterable[PlannedCell]) -> None:
    keys: set[tuple[str, ...]] = set()
    for cell in cells:
        if cell.key in keys:
            raise UserError(f"the plan lists {cell.path} twice: give each cell once, with all its studies")
        keys.add(cell.key)
