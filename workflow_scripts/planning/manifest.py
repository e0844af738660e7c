"""Manifest: the cells and studies that planning hands to statistics and report.

`plan.json` is written and read in this module alone: `to_json` and `from_json` of each class stand side by side.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS, NONE, PRETRAINING

STDIN = "-"

Levels = Mapping[str, str]  # level of each factor


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """A job that must have run before a cell has trials: its stage (the name of its command) and three of its files."""

    stage: str
    output: Path  # the first one that its rule declares
    record: Path
    log: Path

    def to_json(self) -> list[str]:
        """Return the fields in order."""
        return [self.stage, str(self.output), str(self.record), str(self.log)]

    @classmethod
    def from_json(cls, entry: Sequence[str]) -> PlannedJob:
        """Return the job that decoded JSON describes."""
        stage, output, record, log = entry
        return cls(stage=stage, output=Path(output), record=Path(record), log=Path(log))


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """One cell of one run: the path of its trials, and the digests that they should carry."""

    path: Path
    code: str
    config: str
    factors: Levels
    studies: tuple[str, ...]
    jobs: tuple[PlannedJob, ...] = ()  # all that the cell needs, in the order they run, its own last

    def matches(self, levels: Levels) -> bool:
        """Whether these are levels of the cell; a cell of an imported checkpoint matches only if `corpus` is given."""
        imported = self.factors["corpus"] != NONE and self.factors["workers"] == NONE
        return all(self.factors[factor] == level for factor, level in levels.items()) and (
            "corpus" in levels or not imported
        )

    @property
    def key(self) -> tuple[str, ...]:
        """Levels in the order of `FACTORS`; levels are text everywhere in statistics and report."""
        return tuple(self.factors[factor] for factor in FACTORS)

    def to_json(self, jobs: Mapping[PlannedJob, int]) -> dict[str, Any]:
        """Return the fields; `jobs` numbers the jobs of the manifest, which cells share."""
        return {
            "path": str(self.path),
            "code": self.code,
            "config": self.config,
            "factors": dict(self.factors),
            "studies": list(self.studies),
            "jobs": [jobs[job] for job in self.jobs],
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], jobs: Sequence[PlannedJob]) -> PlannedCell:
        """Return the cell that decoded JSON describes; `jobs` are those of the manifest."""
        return cls(
            path=Path(entry["path"]),
            code=entry["code"],
            config=entry["config"],
            factors={factor: str(entry["factors"][factor]) for factor in FACTORS},
            studies=tuple(entry["studies"]),
            jobs=tuple(jobs[number] for number in entry.get("jobs", ())),
        )


@dataclass(frozen=True, kw_only=True)
class PretrainedRun:
    """A run trained here: the folder with its losses, and its level of each pre-training factor."""

    folder: Path
    factors: Levels
    separation_code: str = ""  # code digest of its separation quality; empty if the run separates no sources

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {"folder": str(self.folder), "factors": dict(self.factors), "separation_code": self.separation_code}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> PretrainedRun:
        """Return the run that decoded JSON describes."""
        return cls(
            folder=Path(entry["folder"]),
            factors={factor: str(entry["factors"][factor]) for factor in PRETRAINING},
            separation_code=entry.get("separation_code", ""),
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A contrast declared before any result was known: `treatment` minus `reference`, both given by levels."""

    name: str
    treatment: Levels
    reference: Levels

    def to_json(self) -> dict[str, Any]:
        """Return the fields under the names that a study file uses."""
        return {"name": self.name, "better": dict(self.treatment), "than": dict(self.reference)}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Comparison:
        """Return the comparison that decoded JSON, or a study file, describes."""
        return cls(name=entry["name"], treatment=_as_text(entry["better"]), reference=_as_text(entry["than"]))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The figure of a study: a level of `figures/`, with its options."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return kind and options side by side, as in a study file."""
        return {"kind": self.kind, **self.options}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Figure:
        """Return the figure that decoded JSON, or a study file, describes."""
        return cls(kind=entry["kind"], options={name: value for name, value in entry.items() if name != "kind"})


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A published statement that the cells of a study can be compared with.

    `id` names the row of published.csv. `of` and `over` are levels; the steps of one side are paired with those of
    the other and averaged. `expected` is the claim of a statement without a number about `quantity`, or the side of its
    number that a value must be on.
    """

    id: str
    quantity: str
    of: tuple[Levels, ...]
    over: tuple[Levels, ...] = ()
    metric: str = ""  # empty: the study's
    losses: tuple[str, ...] = ()  # workers whose losses are compared
    expected: str = ""
    margin: float | None = None  # in the unit of the published number
    tolerance: float | None = None  # points of the metric that still count as reaching a threshold
    choices: tuple[str, ...] = ()  # tags of docs/reproduction-notes.md

    def to_json(self) -> dict[str, Any]:
        """Return the fields under the names that a study file uses."""
        fields = asdict(self)
        fields |= {"of": _as_lists(self.of), "over": _as_lists(self.over)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], *, where: str) -> Statement:
        """Return the statement that decoded JSON, or an entry of `published`, describes.

        Raises `UserError`, which begins with `where`, if lists of levels differ in length.
        """
        of, over = _as_steps(entry["of"], where=where), _as_steps(entry.get("over") or {}, where=where)
        if entry.get("over") and len(of) != len(over):
            raise UserError(f"{where}: `of` and `over` are not in step ({len(of)} and {len(over)}): give equally many")
        return cls(
            id=entry["id"],
            quantity=entry["quantity"],
            of=of,
            over=over if entry.get("over") else (),
            metric=entry.get("metric") or "",
            losses=tuple(entry.get("losses") or ()),
            expected=entry.get("expected") or "",
            margin=entry.get("margin"),
            tolerance=entry.get("tolerance"),
            choices=tuple(entry.get("choices") or ()),
        )


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
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    floors: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    figure: Figure | None
    notes: str
    detect: float | None = None  # difference that more pre-training seeds should be able to show, in printed points
    published: tuple[Statement, ...] = ()
    cells: tuple[int, ...] = ()  # places among the manifest's cells, in the study's own order
    metrics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def per_metric(self, dataset: str) -> list[Study]:
        """Return the study once for each metric of a data set, with that as its `metric`."""
        return [replace(self, metric=metric) for metric in self.metrics.get(dataset, (self.metric,))]

    def to_json(self) -> dict[str, Any]:
        """Return the fields, without the name, under the names that a study file uses."""
        return {
            "title": self.title,
            "question": self.question,
            "metric": self.metric,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "floors": list(self.floors),
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "figure": self.figure.to_json() if self.figure else None,
            "notes": self.notes,
            "detect": self.detect,
            "published": [statement.to_json() for statement in self.published],
            "cells": list(self.cells),
            "metrics": {dataset: list(metrics) for dataset, metrics in self.metrics.items()},
        }

    @classmethod
    def from_json(cls, name: str, entry: Mapping[str, Any]) -> Study:
        """Return the study that decoded JSON, or a study file with `cells`, describes.

        Raises `UserError` for an unknown factor.
        """
        rows, floors = tuple(entry["rows"]), tuple(entry.get("floors") or ())
        study = cls(
            name=name,
            title=entry["title"],
            question=entry.get("question") or "",
            metric=entry["metric"],
            rows=rows if "encoder" in rows or not floors else ("encoder", *rows),  # only the encoder identifies a floor
            columns=tuple(entry["columns"]),
            floors=floors,
            comparisons=tuple(Comparison.from_json(comparison) for comparison in entry.get("comparisons") or ()),
            figure=Figure.from_json(entry["figure"]) if entry.get("figure") else None,
            notes=(entry.get("notes") or "").strip(),
            detect=entry.get("detect"),
            published=tuple(
                Statement.from_json(statement, where=f"study {name}: published")
                for statement in entry.get("published") or ()
            ),
            cells=tuple(entry["cells"]),
            metrics={dataset: tuple(metrics) for dataset, metrics in (entry.get("metrics") or {}).items()},
        )
        unknown = study._factors() - set(FACTORS)
        if unknown:
            raise UserError(f"study {name}: unknown factor {', '.join(sorted(unknown))}; allowed: {', '.join(FACTORS)}")
        return study

    def _factors(self) -> set[str]:
        """Return every factor that rows, columns, comparisons and statements name."""
        sides: list[Levels] = [side for each in self.comparisons for side in (each.treatment, each.reference)]
        sides += [step for statement in self.published for step in (*statement.of, *statement.over)]
        return {*self.rows, *self.columns, *(factor for side in sides for factor in side)}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that the studies of one config need."""

    scale: str
    cells: tuple[PlannedCell, ...]
    studies: tuple[Study, ...]
    records: tuple[tuple[str, Path], ...] = ()  # stage and record of each job before the cells
    corpora: tuple[Path, ...] = ()  # folders of the prepared corpora
    audits: tuple[Path, ...] = ()  # numbers of the audit of each evaluated data set
    pretrained: tuple[PretrainedRun, ...] = ()
    sample_rates: Mapping[str, int] = field(default_factory=dict)  # in Hz, of each encoder
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of levels in tables, by factor and level
    configfiles: tuple[str, ...] = ()  # files over the default config
    unfinished: bool = False  # after a run that failed: some cells are missing, others may be stale

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

    def to_json(self) -> dict[str, Any]:
        """Return the content of `plan.json`; a job that several cells need is listed once."""
        jobs: dict[PlannedJob, int] = {}
        for cell in self.cells:
            for job in cell.jobs:
                jobs.setdefault(job, len(jobs))
        return {
            "scale": self.scale,
            "studies": {study.name: study.to_json() for study in self.studies},
            "cells": [cell.to_json(jobs) for cell in self.cells],
            "pretrained": [run.to_json() for run in self.pretrained],
            "jobs": [job.to_json() for job in jobs],
            "records": [[stage, str(path)] for stage, path in self.records],
            "corpora": [str(path) for path in self.corpora],
            "audits": [str(path) for path in self.audits],
            "sample_rates": dict(self.sample_rates),
            "labels": {factor: dict(labels) for factor, labels in self.labels.items()},
            "configfiles": list(self.configfiles),
            "unfinished": self.unfinished,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Manifest:
        """Return the manifest that decoded JSON describes; `UserError` for an unknown factor or a duplicate cell."""
        jobs = [PlannedJob.from_json(entry) for entry in content.get("jobs", ())]
        manifest = cls(
            scale=content["scale"],
            cells=tuple(PlannedCell.from_json(entry, jobs) for entry in content["cells"]),
            studies=tuple(Study.from_json(name, entry) for name, entry in content["studies"].items()),
            records=tuple((stage, Path(path)) for stage, path in content.get("records", ())),
            corpora=tuple(Path(path) for path in content.get("corpora", ())),
            audits=tuple(Path(path) for path in content.get("audits", ())),
            pretrained=tuple(PretrainedRun.from_json(entry) for entry in content.get("pretrained", ())),
            sample_rates=content.get("sample_rates", {}),
            labels=content.get("labels", {}),
            configfiles=tuple(content.get("configfiles", ())),
            unfinished=bool(content.get("unfinished")),
        )
        _require_distinct(manifest.cells)
        return manifest


def read_manifest(path: str) -> Manifest:
    """Read a manifest from a JSON file, or from standard input if `path` is "-"; `UserError` if it is not one."""
    try:
        text = sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
        return Manifest.from_json(json.loads(text))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"--manifest {path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--manifest {path}: not JSON ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--manifest {path}: not a manifest ({type(error).__name__}: {error})") from error


def _require_distinct(cells: Iterable[PlannedCell]) -> None:
    keys: set[tuple[str, ...]] = set()
    for cell in cells:
        if cell.key in keys:
            raise UserError(f"the plan lists {cell.path} twice: give each cell once, with all its studies")
        keys.add(cell.key)


def _as_text(levels: Mapping[str, Any]) -> dict[str, str]:
    return {factor: str(level) for factor, level in levels.items()}


def _as_steps(levels: Mapping[str, Any], *, where: str) -> tuple[dict[str, str], ...]:
    """Return the levels of each step: the first of every list, then the second, and so on."""
    lengths = {len(level) for level in levels.values() if isinstance(level, list)} or {1}
    if len(lengths) > 1:
        raise UserError(f"{where}: lists of levels taken in step must be equally long")
    return tuple(
        _as_text({factor: level[step] if isinstance(level, list) else level for factor, level in levels.items()})
        for step in range(lengths.pop())
    )


def _as_lists(steps: Sequence[Levels]) -> dict[str, list[str]]:
    """Return the levels of all steps by factor, which `_as_steps` takes apart again."""
    return {factor: [step[factor] for step in steps] for factor in (steps[0] if steps else ())}
