"""Every published number and claim of the three systems, and what our results say of it.

`published.csv` holds what the publications print: Wu et al. 2021 (A), Spijkervet 2021 (B) and Garoufis et al. 2024 (C),
one row per number or claim, transcribed by hand from their text, tables and figures. Claims in words have no number;
their `notes` say what is claimed. `notes` also say where a publication contradicts itself or the data it describes.

A study's `published` entries say which of its cells can be held against which row. Numbers are judged by two one-sided
tests against the margin that the entry declares, claims and numbers that are a bound ("no tag differs by more than 4
points") by the 95 % interval; no family of claims is adjusted for.
Results on twins are never judged against a number. Levels in step that a trimmed study lacks are left out, and named.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Evaluation, Manifest, Statement, Study
from workflow_scripts.statistics.csv_io import Kind, read_csv
from workflow_scripts.statistics.inference.equivalence import decide
from workflow_scripts.statistics.reproduction.context import Estimate, Missing, Results, Selection
from workflow_scripts.statistics.reproduction.quantities.registry import QUANTITIES, Quantity
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

DATA_FILES = ("published.csv",)
PUBLISHED = Path(__file__).parent / DATA_FILES[0]
TWIN = "twin"

PUBLISHED_COLUMNS = (
    *("system", "table_or_figure", "pretrain_data", "eval_data", "model", "setting", "scenario", "metric"),
    *("mean", "std", "notes"),
)
COLUMNS = (
    *("row", *PUBLISHED_COLUMNS),
    *(
        "study",
        "quantity",
        "kind",
        "of",
        "over",
        "left_out",
        "our_metric",
        "within",
        "expected",
        "margin",
        "tolerance",
        "choices",
    ),
    *("verdict", "reason", "value", "ci_low", "ci_high", "ci90_low", "ci90_high", "smallest", "largest"),
    *("replicate", "n", "n_pretraining_seeds", "source"),
)
KINDS: dict[str, Kind] = {
    **dict.fromkeys(COLUMNS, "text"),
    "row": "integer",
    **dict.fromkeys(("margin", "tolerance", "value", "ci_low", "ci_high", "ci90_low", "ci90_high"), "number"),
    **dict.fromkeys(("smallest", "largest"), "number"),
    **dict.fromkeys(("n", "n_pretraining_seeds"), "count"),
}

#: verdicts; those of numbers are also "equivalent", "different" and "inconclusive"
NOT_RUN, NOT_COMPARABLE, NOT_OURS = "not run", "not comparable", "not a result of this benchmark"
HOLDS, DOES_NOT_HOLD, INCONCLUSIVE = "holds", "does not hold", "inconclusive"
AS_PUBLISHED, SET_OTHERWISE = "as published", "set otherwise"

#: what a statement may expect of a claim in words, and of a number that ours may be better than
CLAIMS = ("above zero", "below zero", "not above zero", "near zero")
SIDES = ("not above", "not below")

#: rows that no experiment here can have a result for, and what they are
OBTAINED, CITED = "what the authors could obtain", "cited from other publications"
BEYOND_EXPERIMENTS = (
    ({"system": "A", "pretrain_data": "AudioSet"}, OBTAINED),
    *(
        ({"system": "B", "model": model}, CITED)
        for model in (
            *("Pons et al. (waveform)", "1D CNN", "fully supervised models (best)"),
            *("SimCLR", "ResNet-50", "SimCLR v2", "PASE+"),
        )
    ),
)
NEAREST = 3  # values shown where a row is misspelt

ROUNDING = 1e-9  # a setting is a number somebody typed: anything further off is another one


def read_published(path: Path = PUBLISHED) -> pd.DataFrame:
    """Rows of published.csv with their number, counted from 1, in `row`; `mean` and `std` as printed, as text."""
    table = read_csv(path, dict.fromkeys(PUBLISHED_COLUMNS, "text"))
    table.insert(0, "row", range(1, len(table) + 1))
    return table


def check_statements(studies: Mapping[str, Mapping[str, Any]]) -> None:
    """Check what studies, by name and as `configuration.check` returns them, say of published rows.

    `UserError` names the file, the row and the key: of a statement that does not pick exactly one row of
    published.csv, lacks what its quantity needs or states what it has no use for, or claims something of a number.
    """
    published = read_published()
    for name, study in studies.items():
        for entry in study.get("published") or ():
            where = _where(name, entry["row"])
            _fitting(published, Statement.from_json(entry, where=where), where=where)


def published_value(statement: Statement, *, study: str) -> float:
    """The number in the row that a study's statement names, in the printed unit; not-a-number for a claim in words.

    `UserError` as `check_statements`.
    """
    row = _fitting(read_published(), statement, where=_where(study, statement.row))
    return float(row["mean"] or math.nan)


def reproduction_table(
    plan: Manifest, cells: TrialSamples, trials: pd.DataFrame, replicates: BootstrapReplicates
) -> pd.DataFrame:
    """One line (columns `COLUMNS`) per published row without a study, and per setting of each statement on the others.

    `trials` is the tidy table that `cells` looks up. `UserError` as `check_statements`.
    """
    results, published = Results(plan, cells, trials, replicates), read_published()
    spoken: dict[int, list[dict[str, object]]] = {}
    for study in plan.studies:
        evaluations = plan.evaluations_of(study)
        for statement in study.published:
            row = _fitting(published, statement, where=_where(study.name, statement.row))
            spoken.setdefault(row["row"], []).extend(_lines(row, statement, study, evaluations, results))
    lines = [line for row in published.to_dict("records") for line in spoken.get(row["row"]) or [_without_study(row)]]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return table.astype(dict.fromkeys((name for name, kind in KINDS.items() if kind == "count"), "Int64"))


def _without_study(row: Mapping[Any, object]) -> dict[str, object]:
    """The line of a row that no study speaks of."""
    beyond = next((what for columns, what in BEYOND_EXPERIMENTS if columns.items() <= row.items()), "")
    verdict, reason = (NOT_OURS, beyond) if beyond else (NOT_RUN, "no study of this config")
    return {str(column): value for column, value in row.items()} | {"verdict": verdict, "reason": reason}


def read_reproduction(path: Path) -> pd.DataFrame:
    """Read back what `reproduction_table` returned, written as csv."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run aggregate first")
    return read_csv(path, KINDS)


def _where(study: str, row: Mapping[str, object]) -> str:
    return f"config/studies/{study}.yaml: published {dict(row)}"


def _fitting(published: pd.DataFrame, statement: Statement, *, where: str) -> dict[Any, Any]:
    """The one row that a statement names; `UserError` where the statement does not fit it."""
    row = _picked(published, statement.row, where=f"{where}: row")
    if statement.quantity not in QUANTITIES:
        raise UserError(f"{where}: quantity: unknown {statement.quantity!r}; allowed: {', '.join(QUANTITIES)}")
    quantity = QUANTITIES[statement.quantity]
    allowed = ("", *SIDES) if row["mean"] else CLAIMS
    if statement.expected not in allowed:
        shown = ", ".join(filter(None, allowed))
        raise UserError(
            f"{where}: expected: a claim in words needs one and a number may have one; allowed here: {shown}"
        )
    if row["mean"] and quantity.kind != "chosen" and statement.margin is None:
        raise UserError(f"{where}: declare the margin within which {row['mean']} counts as reproduced")
    _check_cells(statement, quantity, where=where)
    _check_losses(statement, quantity, where=where)
    if (quantity.needs == "tolerance") != (statement.tolerance is not None):
        needed = ", ".join(name for name, known in QUANTITIES.items() if known.needs == "tolerance")
        raise UserError(f"{where}: tolerance: how close counts as reached is stated for {needed}, and only there")
    return row


def _picked(published: pd.DataFrame, columns: Mapping[str, str], *, where: str) -> dict[Any, Any]:
    found = published
    for column, value in columns.items():
        if column not in PUBLISHED_COLUMNS:
            raise UserError(f"{where}: no column {column} in published.csv; allowed: {', '.join(PUBLISHED_COLUMNS)}")
        allowed = list(dict.fromkeys(found[column]))
        if value not in allowed:
            near = difflib.get_close_matches(value, allowed, n=NEAREST, cutoff=0)
            raise UserError(f"{where}.{column}: no row has {value!r} with what stands before; nearest: {near}")
        found = found[found[column] == value]
    if len(found) != 1:
        apart = [column for column in PUBLISHED_COLUMNS if found[column].nunique() > 1]
        raise UserError(
            f"{where}: picks {len(found)} rows of published.csv, not one; they differ in {', '.join(apart)}"
        )
    (row,) = found.to_dict("records")
    return row


def _check_cells(statement: Statement, quantity: Quantity, *, where: str) -> None:
    """`of` and `over` name factors, and are what the quantity is computed from."""
    for side, steps in (("of", statement.of), ("over", statement.over)):
        unknown = sorted({factor for step in steps for factor in step} - {*FACTORS})
        if unknown:
            raise UserError(f"{where}: {side}: unknown factor {', '.join(unknown)}; allowed: {', '.join(FACTORS)}")
    name = statement.quantity
    if quantity.compares != bool(statement.over):
        raise UserError(f"{where}: {name} {'needs' if quantity.compares else 'has no'} `over`")
    if len(statement.of) > 1 and not quantity.averages:
        allowed = ", ".join(each for each, known in QUANTITIES.items() if known.averages)
        raise UserError(f"{where}: of: {name} takes one level of a factor, not a list; lists are allowed in {allowed}")
    if quantity.needs == "corpus" and not {"dataset", "corpus"} & {*statement.of[0]}:
        raise UserError(f"{where}: of: {name} needs it to name a dataset or a corpus")


def _check_losses(statement: Statement, quantity: Quantity, *, where: str) -> None:
    if quantity.needs != "losses":
        if statement.losses:
            raise UserError(f"{where}: {statement.quantity} has no `losses`")
        return
    workers = registry.names("worker")
    unknown = [worker for worker in statement.losses if worker not in workers]
    if len(statement.losses) != 2 or unknown:
        raise UserError(
            f"{where}: losses: {statement.quantity} needs losses: the two workers, such as [lps, tempogram], not "
            f"{list(statement.losses)}; allowed: {', '.join(workers)}"
        )


def _lines(
    row: Mapping[Any, Any],
    statement: Statement,
    study: Study,
    evaluations: Sequence[Evaluation],
    results: Results,
) -> Iterator[dict[str, object]]:
    """One line for each setting that a statement does not name."""
    quantity = QUANTITIES[statement.quantity]
    named = {factor for step in (*statement.of, *statement.over) for factor in step}
    within = [factor for factor in quantity.within if factor not in named]
    spoken_of = [each for each in evaluations if any(each.matches(step) for step in statement.of)]
    keys = list(dict.fromkeys(tuple(each.factors[factor] for factor in within) for each in spoken_of))
    shown = _several(spoken_of, within)
    for key in keys or [("",) * len(within)]:
        setting = dict(zip(within, key, strict=True))
        kept = _planned(statement, setting, evaluations)
        selection = Selection(
            statement=statement,
            metric=statement.metric or study.metric,
            of=tuple(tuple(_selected(evaluations, {**statement.of[step], **setting})) for step in kept),
            over=tuple(
                tuple(_selected(evaluations, {**statement.over[step], **setting})) for step in kept if statement.over
            ),
        )
        outcome = quantity.compute(selection, results) if kept else Missing(reason="the study has no such cell")
        stated = kept or range(len(statement.of))
        yield {
            **row,
            "study": study.name,
            "quantity": statement.quantity,
            "kind": quantity.kind,
            "of": _named(statement.of[step] for step in stated),
            "over": _named(statement.over[step] for step in stated if statement.over),
            "left_out": _named(_telling(statement.of, step) for step in range(len(statement.of)) if step not in stated),
            "our_metric": selection.metric
            if quantity.kind == "measured" and statement.quantity != "loss_ratio"
            else "",
            "within": _named([{factor: setting[factor] for factor in shown if setting[factor]}]),
            "expected": statement.expected,
            "margin": math.nan if statement.margin is None else statement.margin,
            "tolerance": math.nan if statement.tolerance is None else statement.tolerance,
            "choices": " ".join(statement.choices),
            **_judged(str(row["mean"]), statement, quantity, outcome),
        }


def _planned(statement: Statement, setting: Mapping[str, str], evaluations: Sequence[Evaluation]) -> list[int]:
    """Steps of a statement that a setting of the study has cells for, on both sides where there are two."""
    sides = [side for side in (statement.of, statement.over) if side]
    return [
        step
        for step in range(len(statement.of))
        if all(any(each.matches({**side[step], **setting}) for each in evaluations) for side in sides)
    ]


def _telling(steps: Sequence[Mapping[str, str]], step: int) -> dict[str, str]:
    """Levels of a step in which it differs from others."""
    return {factor: level for factor, level in steps[step].items() if len({each[factor] for each in steps}) > 1}


def _several(evaluations: Sequence[Evaluation], within: Sequence[str]) -> list[str]:
    """Factors to be shown with a line: the data set always, the others where there are several levels."""
    return [
        factor
        for factor in within
        if factor == "dataset" or len({evaluation.factors[factor] for evaluation in evaluations}) > 1
    ]


def _selected(evaluations: Iterable[Evaluation], chosen: Mapping[str, str]) -> list[Evaluation]:
    return [each for each in evaluations if each.matches(chosen)]


def _named(steps: Iterable[Mapping[str, str]]) -> str:
    """Levels as text, those of several steps with commas, such as "workers=WLPT,WLPMT scenario=frozen"."""
    joined: dict[str, dict[str, None]] = {}
    for step in steps:
        for factor, level in step.items():
            joined.setdefault(factor, {})[level] = None
    return " ".join(f"{factor}={','.join(found)}" for factor, found in joined.items())


def _judged(published: str, statement: Statement, quantity: Quantity, outcome: Estimate | Missing) -> dict[str, object]:
    if isinstance(outcome, Missing):
        return {"verdict": NOT_RUN, "reason": outcome.reason}
    verdict, reason = _verdict(published, statement, quantity, outcome)
    return {
        **{
            "verdict": verdict,
            "reason": reason,
            "value": outcome.value,
            "ci_low": outcome.low,
            "ci_high": outcome.high,
        },
        **{"ci90_low": outcome.narrow[0], "ci90_high": outcome.narrow[1], "replicate": outcome.replicate},
        **{"n": outcome.n, "n_pretraining_seeds": outcome.checkpoints, "source": " ".join(outcome.sources)},
        **dict(zip(("smallest", "largest"), outcome.sizes, strict=True)),
    }


def _verdict(published: str, statement: Statement, quantity: Quantity, estimate: Estimate) -> tuple[str, str]:
    """Verdict, and what keeps it from being a better one."""
    if math.isnan(estimate.value):
        return INCONCLUSIVE, "no value: the mean of what it is compared with is not above zero"
    if statement.expected in CLAIMS:
        return claim_verdict(estimate, statement.expected, margin=statement.margin or 0.0)
    number = float(published)
    if quantity.kind == "chosen":
        allowed = max(statement.margin or 0.0, ROUNDING * abs(number))
        same = max(abs(estimate.low - number), abs(estimate.high - number)) <= allowed
        return (AS_PUBLISHED if same else SET_OTHERWISE), ""
    if TWIN in estimate.sources or not estimate.sources:
        return NOT_COMPARABLE, "twin data" if estimate.sources else "nothing says where the data came from"
    assert statement.margin is not None  # `_fitting` has refused the others
    if statement.expected:
        past = _past(number, estimate, expected=statement.expected)
        return claim_verdict(past, "not above zero", margin=statement.margin)
    low, high = (end - number for end in estimate.narrow)
    verdict = decide(low, high, margin=statement.margin)
    return verdict, "" if math.isfinite(estimate.low) else _no_interval(estimate)


def claim_verdict(estimate: Estimate, expected: str, *, margin: float = 0.0) -> tuple[str, str]:
    """Verdict on a claim about a sign from the 95 % interval, and what keeps it from being a better one.

    "above zero" and "below zero" hold when the whole interval is on that side, and do not when it is on the other one.
    "not above zero" means by no more than `margin`: it holds when the whole interval is below that. "near zero" means
    so on both sides.
    """
    if math.isnan(estimate.low):
        return INCONCLUSIVE, _no_interval(estimate)
    low, high = estimate.low, estimate.high
    if expected == "below zero":
        low, high = -high, -low
    if expected == "not above zero":
        holds, fails = high <= margin, low > margin
    elif expected == "near zero":
        holds, fails = -margin <= low <= high <= margin, low > margin or high < -margin
    else:
        holds, fails = low > 0, high < 0
    return (HOLDS if holds else DOES_NOT_HOLD if fails else INCONCLUSIVE), ""


def _past(number: float, estimate: Estimate, *, expected: str) -> Estimate:
    """How far an estimate lies beyond a number on the side where it should not be."""
    low, high = estimate.low - number, estimate.high - number
    return replace(estimate, low=low, high=high) if expected == "not above" else replace(estimate, low=-high, high=-low)


def _no_interval(estimate: Estimate) -> str:
    return f"no interval from {estimate.n} {estimate.replicate}"
