"""What was meant to be measured: the evaluations and studies that planning hands to statistics and report."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.errors import UserError
from workflow_scripts.factors import FACTORS

STDIN = "-"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One cell of one run: where its trials should be, and the digests they should carry."""

    path: Path
    code: str
    config: str
    factors: Mapping[str, str]
    studies: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Levels in the order of `FACTORS`; levels are text everywhere in statistics and report."""
        return tuple(self.factors[factor] for factor in FACTORS)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A question asked before the results were seen: is `better` better than `than`? Both are factor levels."""

    name: str
    better: Mapping[str, str]
    than: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Study:
    """One table or figure: which factors make rows and columns, which encoders are floors, what is compared."""

    name: str
    title: str
    question: str
    metric: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    floors: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    figure: str | None
    notes: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything one config asks for."""

    scale: str
    evaluations: tuple[Evaluation, ...]
    studies: tuple[Study, ...]
    records: tuple[tuple[str, Path], ...] = ()  # stage and record of each job before the evaluations
    corpora: tuple[Path, ...] = ()  # folders of the prepared corpora

    def of(self, study: Study) -> list[Evaluation]:
        """Evaluations of a study in planned order."""
        return [evaluation for evaluation in self.evaluations if study.name in evaluation.studies]

    def chosen(self, names: list[str]) -> list[Study]:
        """Return the studies called `names`, or all if none is named; `UserError` for an unknown name."""
        known = {study.name: study for study in self.studies}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UserError(f"unknown study {', '.join(unknown)}; the plan has: {', '.join(known) or 'none'}")
        return [known[name] for name in names] or list(self.studies)


def read_plan(path: str) -> Plan:
    """Read the plan from a JSON file, or from standard input when `path` is "-"; `UserError` when it is not a plan."""
    try:
        text = sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
        return parse_plan(json.loads(text))
    except FileNotFoundError as error:
        raise UserError(f"--plan {path}: no such file") from error
    except json.JSONDecodeError as error:
        raise UserError(f"--plan {path}: not JSON ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--plan {path}: not a plan ({type(error).__name__}: {error})") from error


def parse_plan(content: Mapping) -> Plan:
    """Return the plan that decoded JSON states; `UserError` names a study's unknown factor or a duplicate cell."""
    plan = Plan(
        scale=content["scale"],
        evaluations=tuple(_evaluation(entry) for entry in content["evaluations"]),
        studies=tuple(_study(name, entry) for name, entry in content["studies"].items()),
        records=tuple((stage, Path(path)) for stage, path in content.get("records", ())),
        corpora=tuple(Path(path) for path in content.get("corpora", ())),
    )
    seen: set[tuple[str, ...]] = set()
    for evaluation in plan.evaluations:
        if evaluation.key in seen:
            raise UserError(f"the plan lists {evaluation.path} twice: give each cell once, with all its studies")
        seen.add(evaluation.key)
    return plan


def _evaluation(entry: Mapping) -> Evaluation:
    return Evaluation(
        path=Path(entry["path"]),
        code=entry["code"],
        config=entry["config"],
        factors={factor: str(entry["factors"][factor]) for factor in FACTORS},
        studies=tuple(entry["studies"]),
    )


def _study(name: str, entry: Mapping) -> Study:
    rows, floors = tuple(entry["rows"]), tuple(entry.get("floors") or ())
    study = Study(
        name=name,
        title=entry["title"],
        question=entry.get("question") or "",
        metric=entry["metric"],
        # a floor is told from another only by its encoder
        rows=rows if "encoder" in rows or not floors else ("encoder", *rows),
        columns=tuple(entry["columns"]),
        floors=floors,
        comparisons=tuple(
            Comparison(name=each["name"], better=_levels(each["better"]), than=_levels(each["than"]))
            for each in entry.get("comparisons") or ()
        ),
        figure=entry.get("figure"),
        notes=(entry.get("notes") or "").strip(),
    )
    named = {*study.rows, *study.columns, *(f for c in study.comparisons for f in (*c.better, *c.than))}
    if named - set(FACTORS):
        raise UserError(
            f"study {name}: unknown factor {', '.join(sorted(named - set(FACTORS)))}; allowed: {', '.join(FACTORS)}"
        )
    return study


def _levels(levels: Mapping) -> dict[str, str]:
    return {factor: str(level) for factor, level in levels.items()}
