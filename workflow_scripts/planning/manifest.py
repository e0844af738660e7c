"""What was meant to be measured: the evaluations and studies that planning hands to statistics and report."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS, NONE, PRETRAINING

STDIN = "-"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that must have run before a cell has trials: its script, first output, record and log."""

    verb: str
    output: Path
    record: Path
    log: Path


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One cell of one run: where its trials should be, and the digests they should carry.

    `jobs` are all that it needs, in the order they run, its own last.
    """

    path: Path
    code: str
    config: str
    factors: Mapping[str, str]
    studies: tuple[str, ...]
    jobs: tuple[Job, ...] = ()

    def has(self, levels: Mapping[str, str]) -> bool:
        """Whether these are levels of the cell; one of an imported checkpoint must be asked for by its corpus."""
        imported = self.factors["corpus"] != NONE and self.factors["workers"] == NONE
        return all(self.factors[factor] == level for factor, level in levels.items()) and (
            "corpus" in levels or not imported
        )

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
class Figure:
    """How a study is drawn: a level of `figures/`, and the options stated for it."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A run trained here: the folder with its losses, and its level of each pre-training factor.

    `judged` is the code digest that what is known of its separation should carry; empty: it separates nothing.
    """

    folder: Path
    factors: Mapping[str, str]
    judged: str = ""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A published statement that a study's cells can be held against.

    `row` picks the row of published.csv. `of` and `over` are factor levels; several on a side are taken in step with
    those of the other side and averaged. `expected` says what a statement without a number claims of `quantity`, or on
    which side of its number it must stay.
    """

    row: Mapping[str, str]
    quantity: str
    of: tuple[Mapping[str, str], ...]
    over: tuple[Mapping[str, str], ...] = ()
    metric: str = ""  # empty: the study's
    losses: tuple[str, ...] = ()  # workers whose losses are compared
    expected: str = ""
    margin: float | None = None  # in the unit of the published number
    tolerance: float | None = None  # points of the metric that still count as reaching what is to be reached
    choices: tuple[str, ...] = ()  # tags of docs/reproduction-notes.md


@dataclass(frozen=True, kw_only=True)
class Study:
    """One table or figure: which factors make rows and columns, which encoders are floors, what is compared.

    `metrics` are those that the table shows of a data set, and that comparisons on it are made in; of a data set that
    is not there, `metric` alone. Figures show `metric`.
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
    detect: float | None = None  # difference that further checkpoints should be able to show, in printed points
    published: tuple[Statement, ...] = ()
    evaluations: tuple[int, ...] = ()  # places among the plan's evaluations, in the study's own order
    metrics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def read_in(self, dataset: str) -> list[Study]:
        """The study in each metric that is shown of a data set: the same, but for its `metric`."""
        return [replace(self, metric=metric) for metric in self.metrics.get(dataset, (self.metric,))]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything one config asks for."""

    scale: str
    evaluations: tuple[Evaluation, ...]
    studies: tuple[Study, ...]
    records: tuple[tuple[str, Path], ...] = ()  # stage and record of each job before the evaluations
    corpora: tuple[Path, ...] = ()  # folders of the prepared corpora
    audits: tuple[Path, ...] = ()  # numbers of the audit of each evaluated data set
    pretrained: tuple[Pretrained, ...] = ()
    sample_rates: Mapping[str, int] = field(default_factory=dict)  # in Hz, of each encoder
    configfiles: tuple[str, ...] = ()  # what was put over the default config
    unfinished: bool = False  # after a run that failed: some evaluations are missing, others may be stale

    def of(self, study: Study) -> list[Evaluation]:
        """Evaluations of a study in its own order, which other studies that share cells do not change."""
        return [self.evaluations[place] for place in study.evaluations]

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
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UserError(f"--plan {path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--plan {path}: not JSON ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--plan {path}: not a plan ({type(error).__name__}: {error})") from error


def parse_plan(content: Mapping) -> Plan:
    """Return the plan that decoded JSON states; `UserError` names a study's unknown factor or a duplicate cell."""
    jobs = [
        Job(verb=verb, output=Path(output), record=Path(record), log=Path(log))
        for verb, output, record, log in content.get("jobs", ())
    ]
    plan = Plan(
        scale=content["scale"],
        evaluations=tuple(_evaluation(entry, jobs) for entry in content["evaluations"]),
        studies=tuple(_study(name, entry) for name, entry in content["studies"].items()),
        records=tuple((stage, Path(path)) for stage, path in content.get("records", ())),
        corpora=tuple(Path(path) for path in content.get("corpora", ())),
        audits=tuple(Path(path) for path in content.get("audits", ())),
        pretrained=tuple(
            Pretrained(
                folder=Path(entry["folder"]),
                factors={factor: str(entry["factors"][factor]) for factor in PRETRAINING},
                judged=entry.get("judged", ""),
            )
            for entry in content.get("pretrained", ())
        ),
        sample_rates=content.get("sample_rates", {}),
        configfiles=tuple(content.get("configfiles", ())),
        unfinished=bool(content.get("unfinished")),
    )
    seen: set[tuple[str, ...]] = set()
    for evaluation in plan.evaluations:
        if evaluation.key in seen:
            raise UserError(f"the plan lists {evaluation.path} twice: give each cell once, with all its studies")
        seen.add(evaluation.key)
    return plan


def _evaluation(entry: Mapping, jobs: Sequence[Job]) -> Evaluation:
    return Evaluation(
        path=Path(entry["path"]),
        code=entry["code"],
        config=entry["config"],
        factors={factor: str(entry["factors"][factor]) for factor in FACTORS},
        studies=tuple(entry["studies"]),
        jobs=tuple(jobs[place] for place in entry.get("jobs", ())),
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
        figure=_figure(entry.get("figure")),
        notes=(entry.get("notes") or "").strip(),
        detect=entry.get("detect"),
        published=tuple(
            parse_statement(each, where=f"study {name}: published") for each in entry.get("published") or ()
        ),
        evaluations=tuple(entry["evaluations"]),
        metrics={dataset: tuple(shown) for dataset, shown in (entry.get("metrics") or {}).items()},
    )
    named = {*study.rows, *study.columns, *(f for c in study.comparisons for f in (*c.better, *c.than))}
    named |= {factor for each in study.published for levels in (*each.of, *each.over) for factor in levels}
    if named - set(FACTORS):
        raise UserError(
            f"study {name}: unknown factor {', '.join(sorted(named - set(FACTORS)))}; allowed: {', '.join(FACTORS)}"
        )
    return study


def _figure(entry: Mapping | None) -> Figure | None:
    if not entry:
        return None
    return Figure(kind=entry["kind"], options={name: value for name, value in entry.items() if name != "kind"})


def _levels(levels: Mapping) -> dict[str, str]:
    return {factor: str(level) for factor, level in levels.items()}


def parse_statement(entry: Mapping, *, where: str) -> Statement:
    """Return the statement that an entry of `published` makes; `UserError` where its lists are not in step."""
    of, over = _in_step(entry["of"], where=where), _in_step(entry.get("over") or {}, where=where)
    if entry.get("over") and len(of) != len(over):
        raise UserError(
            f"{where}: {len(of)} levels in `of` and {len(over)} in `over` are not in step; allowed: as many"
        )
    return Statement(
        row={column: str(value) for column, value in entry["row"].items()},
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


def _in_step(levels: Mapping, *, where: str) -> tuple[dict[str, str], ...]:
    """Return the levels of each step: the first of every list, then the second, and so on."""
    steps = {len(level) for level in levels.values() if isinstance(level, list)} or {1}
    if len(steps) > 1:
        raise UserError(f"{where}: lists of levels taken in step must be equally long")
    return tuple(
        _levels({factor: level[step] if isinstance(level, list) else level for factor, level in levels.items()})
        for step in range(steps.pop())
    )
