"""Every published number and claim of the three systems, and what our results say of it.

`published.csv` holds what the publications print: Wu et al. 2021 (A), Spijkervet 2021 (B) and Garoufis et al. 2024 (C),
one row per number or claim, transcribed by hand from their text, tables and figures. Claims in words have no number;
their `notes` say what is claimed. `notes` also say where a publication contradicts itself or the data it describes.

A study's `published` entries say which of its cells can be held against which row. Numbers are judged by two one-sided
tests against the margin that the entry declares, claims by the 95 % interval; no family of claims is adjusted for.
Results on twins are never judged against a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.statistics.cells import Cells
from workflow_scripts.statistics.equivalence import decide
from workflow_scripts.statistics.plan import Evaluation, Plan, Statement, Study
from workflow_scripts.statistics.quantities import QUANTITIES, Estimate, Missing, Quantity, Results, Selection
from workflow_scripts.statistics.reading import Kind, read_csv

DATA_FILES = ("published.csv",)
PUBLISHED = Path(__file__).parent / DATA_FILES[0]
TWIN = "twin"

PUBLISHED_COLUMNS = (
    *("system", "table_or_figure", "pretrain_data", "eval_data", "model", "setting", "scenario", "metric"),
    *("mean", "std", "notes"),
)
COLUMNS = (
    *("row", *PUBLISHED_COLUMNS),
    *("study", "quantity", "kind", "of", "over", "our_metric", "within", "expected", "margin", "choices"),
    *("verdict", "reason", "value", "low", "high", "narrow_low", "narrow_high"),
    *("replicate", "n", "checkpoints", "source"),
)
KINDS: dict[str, Kind] = {
    **dict.fromkeys(COLUMNS, "text"),
    "row": "integer",
    **dict.fromkeys(("margin", "value", "low", "high", "narrow_low", "narrow_high"), "number"),
    **dict.fromkeys(("n", "checkpoints"), "count"),
}

#: verdicts; those of numbers are also "equivalent", "different" and "inconclusive"
NOT_RUN, NOT_COMPARABLE = "not run", "not comparable"
HOLDS, DOES_NOT_HOLD, INCONCLUSIVE = "holds", "does not hold", "inconclusive"
AS_PUBLISHED, SET_OTHERWISE = "as published", "set otherwise"

ROUNDING = 1e-9  # a setting is a number somebody typed: anything further off is another one


def read_published(path: Path = PUBLISHED) -> pd.DataFrame:
    """Rows of published.csv with their number, counted from 1, in `row`; `mean` and `std` as printed, as text."""
    table = read_csv(path, dict.fromkeys(PUBLISHED_COLUMNS, "text"))
    table.insert(0, "row", range(1, len(table) + 1))
    return table


def reproduction_table(plan: Plan, cells: Cells, trials: pd.DataFrame) -> pd.DataFrame:
    """One line (columns `COLUMNS`) per published row without a study, and per setting of each statement on the others.

    `trials` is the tidy table that `cells` looks up. `UserError` names a study whose statement does not pick one row,
    lacks what its quantity needs, or claims something of a number.
    """
    results, published = Results(plan, cells, trials), read_published()
    spoken: dict[int, list[dict[str, object]]] = {}
    for study in plan.studies:
        evaluations = plan.of(study)
        for statement in study.published:
            row = _picked(published, statement, study)
            spoken.setdefault(row["row"], []).extend(_lines(row, statement, study, evaluations, results))
    lines = [
        line
        for row in published.to_dict("records")
        for line in spoken.get(row["row"], [{**row, "verdict": NOT_RUN, "reason": "no study of this config"}])
    ]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return table.astype(dict.fromkeys((name for name, kind in KINDS.items() if kind == "count"), "Int64"))


def read_reproduction(path: Path) -> pd.DataFrame:
    """Read back what `reproduction_table` returned, written as csv."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run aggregate first")
    return read_csv(path, KINDS)


def _picked(published: pd.DataFrame, statement: Statement, study: Study) -> dict:
    """The one row that a statement names; `UserError` where the statement does not fit it."""
    where = f"study {study.name}: published {dict(statement.row)}"
    unknown = sorted(set(statement.row) - set(PUBLISHED_COLUMNS))
    if unknown:
        raise UserError(f"{where}: no column {', '.join(unknown)}; allowed: {', '.join(PUBLISHED_COLUMNS)}")
    found = published
    for column, value in statement.row.items():
        found = found[found[column] == value]
    if len(found) != 1:
        raise UserError(f"{where}: picks {len(found)} rows of published.csv; name columns until it is one")
    if statement.quantity not in QUANTITIES:
        raise UserError(f"{where}: unknown quantity {statement.quantity!r}; allowed: {', '.join(QUANTITIES)}")
    (row,) = found.to_dict("records")
    quantity = QUANTITIES[statement.quantity]
    if bool(statement.expected) == bool(row["mean"]):
        raise UserError(f"{where}: state `expected` for a claim in words, and only for that")
    if row["mean"] and quantity.kind != "chosen" and statement.margin is None:
        raise UserError(f"{where}: declare the margin within which {row['mean']} counts as reproduced")
    if quantity.compares != bool(statement.over):
        raise UserError(f"{where}: {statement.quantity} {'needs' if quantity.compares else 'has no'} `over`")
    return row


def _lines(
    row: Mapping[str, object],
    statement: Statement,
    study: Study,
    evaluations: Sequence[Evaluation],
    results: Results,
) -> Iterator[dict[str, object]]:
    """One line for each setting that a statement does not name."""
    quantity = QUANTITIES[statement.quantity]
    named = {factor for levels in (*statement.of, *statement.over) for factor in levels}
    within = [factor for factor in quantity.within if factor not in named]
    first = _selected(evaluations, statement.of[0])
    keys = list(dict.fromkeys(tuple(each.factors[factor] for factor in within) for each in first))
    shown = _several(first, within)
    for key in keys or [("",) * len(within)]:
        setting = dict(zip(within, key, strict=True))
        selection = Selection(
            statement=statement,
            metric=statement.metric or study.metric,
            of=tuple(tuple(_selected(evaluations, levels | setting)) for levels in map(dict, statement.of)),
            over=tuple(tuple(_selected(evaluations, levels | setting)) for levels in map(dict, statement.over)),
        )
        outcome = quantity.compute(selection, results) if keys else Missing(reason="the study has no such cell")
        yield {
            **row,
            "study": study.name,
            "quantity": statement.quantity,
            "kind": quantity.kind,
            "of": _named(statement.of),
            "over": _named(statement.over),
            "our_metric": selection.metric
            if quantity.kind == "measured" and statement.quantity != "loss_ratio"
            else "",
            "within": _named([{factor: setting[factor] for factor in shown if setting[factor]}]),
            "expected": statement.expected,
            "margin": math.nan if statement.margin is None else statement.margin,
            "choices": " ".join(statement.choices),
            **_judged(str(row["mean"]), statement, quantity, outcome),
        }


def _several(evaluations: Sequence[Evaluation], within: Sequence[str]) -> list[str]:
    """Factors to be shown with a line: the data set always, the others where there are several levels."""
    return [
        factor
        for factor in within
        if factor == "dataset" or len({evaluation.factors[factor] for evaluation in evaluations}) > 1
    ]


def _selected(evaluations: Iterable[Evaluation], levels: Mapping[str, str]) -> list[Evaluation]:
    return [each for each in evaluations if all(each.factors[factor] == level for factor, level in levels.items())]


def _named(steps: Iterable[Mapping[str, str]]) -> str:
    """Levels as text, those of several steps with commas, such as "workers=WLPT,WLPMT scenario=frozen"."""
    joined: dict[str, dict[str, None]] = {}
    for levels in steps:
        for factor, level in levels.items():
            joined.setdefault(factor, {})[level] = None
    return " ".join(f"{factor}={','.join(found)}" for factor, found in joined.items())


def _judged(published: str, statement: Statement, quantity: Quantity, outcome: Estimate | Missing) -> dict[str, object]:
    if isinstance(outcome, Missing):
        return {"verdict": NOT_RUN, "reason": outcome.reason}
    verdict, reason = _verdict(published, statement, quantity, outcome)
    return {
        **{"verdict": verdict, "reason": reason, "value": outcome.value, "low": outcome.low, "high": outcome.high},
        **{"narrow_low": outcome.narrow[0], "narrow_high": outcome.narrow[1], "replicate": outcome.replicate},
        **{"n": outcome.n, "checkpoints": outcome.checkpoints, "source": " ".join(outcome.sources)},
    }


def _verdict(published: str, statement: Statement, quantity: Quantity, estimate: Estimate) -> tuple[str, str]:
    """Verdict, and what keeps it from being a better one."""
    if math.isnan(estimate.value):
        return INCONCLUSIVE, "no value: the mean of what it is compared with is not above zero"
    if statement.expected:
        return claim_verdict(estimate, statement.expected, margin=statement.margin or 0.0)
    number = float(published)
    if quantity.kind == "chosen":
        allowed = max(statement.margin or 0.0, ROUNDING * abs(number))
        same = max(abs(estimate.low - number), abs(estimate.high - number)) <= allowed
        return (AS_PUBLISHED if same else SET_OTHERWISE), ""
    if TWIN in estimate.sources:
        return NOT_COMPARABLE, "twin data"
    if not estimate.sources:
        return NOT_COMPARABLE, "nothing says where the data came from"
    assert statement.margin is not None  # `_picked` has refused the others
    low, high = (end - number for end in estimate.narrow)
    verdict = decide(low, high, margin=statement.margin)
    return verdict, "" if math.isfinite(estimate.low) else _no_interval(estimate)


def claim_verdict(estimate: Estimate, expected: str, *, margin: float = 0.0) -> tuple[str, str]:
    """Verdict on a claim about a sign from the 95 % interval, and what keeps it from being a better one.

    "above zero" and "below zero" hold when the whole interval is on that side, and do not when it is on the other one.
    "not above zero" means by no more than `margin`: it holds when the whole interval is below that.
    """
    if math.isnan(estimate.low):
        return INCONCLUSIVE, _no_interval(estimate)
    low, high = estimate.low, estimate.high
    if expected == "below zero":
        low, high = -high, -low
    if expected == "not above zero":
        holds, fails = high <= margin, low > margin
    else:
        holds, fails = low > 0, high < 0
    return (HOLDS if holds else DOES_NOT_HOLD if fails else INCONCLUSIVE), ""


def _no_interval(estimate: Estimate) -> str:
    return f"no interval from {estimate.n} {estimate.replicate}"
