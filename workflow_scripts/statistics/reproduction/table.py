"""Table of every published number and claim with our result beside it (`reproduction.csv`).

One line per row of published.csv that no study of the config is compared with; otherwise one line per statement and per
setting (data set, head, fraction) in which its quantity is computed. Levels in step that a trimmed study lacks are left
out and named.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.configuration.published import Statement
from workflow_scripts.planning.manifest import Manifest, PlannedCell, Study
from workflow_scripts.statistics.csv_io import Kind, read_csv, require_aggregated
from workflow_scripts.statistics.reproduction import published_rows
from workflow_scripts.statistics.reproduction.context import Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.quantities.registry import QUANTITIES
from workflow_scripts.statistics.reproduction.quantity import Quantity
from workflow_scripts.statistics.reproduction.statement_checks import check_statement, read_options
from workflow_scripts.statistics.reproduction.verdicts import NOT_OURS, NOT_RUN, decide_number
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

STATEMENT = [
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
    "options",
    "choices",
]
RESULT = [
    "verdict",
    "reason",
    "value",
    "value_std",
    "ci_low",
    "ci_high",
    "ci90_low",
    "ci90_high",
    "smallest_size",
    "largest_size",
    "replicate",
    "n",
    "n_pretraining_seeds",
    "variance_sources",
    "source",
]
COLUMNS = (*published_rows.COLUMNS, *STATEMENT, *RESULT)
NUMBERS = [
    "margin",
    "value",
    "value_std",
    "ci_low",
    "ci_high",
    "ci90_low",
    "ci90_high",
    "smallest_size",
    "largest_size",
]
COUNTS = ["n", "n_pretraining_seeds"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys(COLUMNS, "text"),
    **dict.fromkeys(NUMBERS, "number"),
    **dict.fromkeys(COUNTS, "count"),
}


def reproduction_table(
    manifest: Manifest, cells: TrialSamples, trials: pd.DataFrame, replicates: BootstrapReplicates
) -> pd.DataFrame:
    """Build the table (columns `COLUMNS`) in the order of published.csv.

    `trials` is the tidy table behind `cells`, `replicates` are the bootstrap replicates of the cells. `UserError` for a
    statement that does not fit its row.
    """
    results, rows = Results(manifest, cells, trials, replicates), published_rows.read_published()
    lines: dict[str, list[dict[str, object]]] = {}
    for study in manifest.studies:
        planned_cells = manifest.cells_of(study)
        for statement in study.statements:
            row = check_statement(rows, statement, where=f"study {study.name}: published {statement.id}")
            lines.setdefault(statement.id, []).extend(_lines(row, statement, study, planned_cells, results))
    table = pd.DataFrame(
        [line for row in rows.values() for line in lines.get(row["id"]) or [_line_without_study(row)]],
        columns=list(COLUMNS),
    )
    return table.astype(dict.fromkeys(COUNTS, "Int64"))


def read_reproduction(path: Path) -> pd.DataFrame:
    """Read back what `reproduction_table` returned, written as csv."""
    require_aggregated(path)
    return read_csv(path, KINDS)


def _line_without_study(row: dict[str, Any]) -> dict[str, object]:
    """Return the line of a row that no study is compared with."""
    beyond = published_rows.beyond_experiments(row)
    verdict, reason = (NOT_OURS, beyond) if beyond else (NOT_RUN, "no study of this config")
    return {**row, "verdict": verdict, "reason": reason}


def _lines(
    row: Mapping[str, Any],
    statement: Statement,
    study: Study,
    planned_cells: Sequence[PlannedCell],
    results: Results,
) -> Iterator[dict[str, object]]:
    """Yield one line for each setting that a statement does not name."""
    quantity = QUANTITIES[statement.quantity]
    options = read_options(statement, where=f"study {study.name}: published {statement.id}")
    named = {factor for step in (*statement.of_steps, *statement.over_steps) for factor in step}
    within = [factor for factor in quantity.within if factor not in named]
    selected = [cell for cell in planned_cells if any(cell.matches(step) for step in statement.of_steps)]
    settings = list(dict.fromkeys(tuple(cell.factors[factor] for factor in within) for cell in selected))
    printed_factors = _shown_factors(selected, within)
    for levels in settings or [("",) * len(within)]:
        setting = dict(zip(within, levels, strict=True))
        planned = _planned_steps(statement, setting, planned_cells)
        selection = Selection(
            statement=statement,
            options=options,
            metric=statement.metric or study.metric,
            of=_cells_of_steps(statement.of_steps, planned, setting, planned_cells),
            over=_cells_of_steps(statement.over_steps, planned, setting, planned_cells),
        )
        outcome = quantity.compute(selection, results) if planned else NoValue(reason="the study has no such cell")
        yield {
            **row,
            **_statement_fields(statement, quantity, planned or range(len(statement.of_steps))),
            "options": json.dumps(options.model_dump(mode="json")) if type(options).model_fields else "",
            "study": study.name,
            "our_metric": selection.metric if quantity.kind == "measured" and quantity.of_metric else "",
            "within": _levels_as_text([{factor: setting[factor] for factor in printed_factors if setting[factor]}]),
            **_result(str(row["mean"]), statement, quantity, outcome),
        }


def _statement_fields(statement: Statement, quantity: Quantity, steps: Sequence[int]) -> dict[str, object]:
    """Return the part of a statement about the `steps` that a study has cells for."""
    of = statement.of_steps
    left_out = [_differing_levels(of, step) for step in range(len(of)) if step not in steps]
    return {
        "quantity": statement.quantity,
        "kind": quantity.kind,
        "of": _levels_as_text(of[step] for step in steps),
        "over": _levels_as_text(statement.over_steps[step] for step in steps if statement.over_steps),
        "left_out": _levels_as_text(left_out),
        "expected": statement.expected or "",
        "margin": math.nan if statement.margin is None else statement.margin,
        "choices": " ".join(statement.choices or ()),
    }


def _planned_steps(statement: Statement, setting: Mapping[str, str], planned_cells: Sequence[PlannedCell]) -> list[int]:
    """Return the steps that a setting of the study has cells for, on both sides where there are two."""
    sides = [side for side in (statement.of_steps, statement.over_steps) if side]
    return [
        step
        for step in range(len(statement.of_steps))
        if all(any(cell.matches({**side[step], **setting}) for cell in planned_cells) for side in sides)
    ]


def _cells_of_steps(
    side: Sequence[Mapping[str, str]],
    steps: Iterable[int],
    setting: Mapping[str, str],
    planned_cells: Sequence[PlannedCell],
) -> tuple[tuple[PlannedCell, ...], ...]:
    """Return the cells of each step of one side; none for a side that a statement does not have."""
    levels_of_steps = [{**side[step], **setting} for step in steps if side]
    return tuple(tuple(cell for cell in planned_cells if cell.matches(levels)) for levels in levels_of_steps)


def _differing_levels(steps: Sequence[Mapping[str, str]], step: int) -> dict[str, str]:
    """Return the levels of one step in which the steps differ."""
    return {factor: level for factor, level in steps[step].items() if len({other[factor] for other in steps}) > 1}


def _shown_factors(planned_cells: Sequence[PlannedCell], within: Sequence[str]) -> list[str]:
    """Return the factors shown with a line: the data set always, the others where there are several levels."""
    return [
        factor for factor in within if factor == "dataset" or len({cell.factors[factor] for cell in planned_cells}) > 1
    ]


def _levels_as_text(steps: Iterable[Mapping[str, str]]) -> str:
    """Write levels as text, those of several steps with commas, such as "workers=WLPT,WLPMT scenario=frozen"."""
    joined: dict[str, dict[str, None]] = {}
    for step in steps:
        for factor, level in step.items():
            joined.setdefault(factor, {})[level] = None
    return " ".join(f"{factor}={','.join(levels)}" for factor, levels in joined.items())


def _result(
    published_value: str, statement: Statement, quantity: Quantity, outcome: Estimate | NoValue
) -> dict[str, object]:
    """Return our value with its interval, its evidence and the verdict."""
    if isinstance(outcome, NoValue):
        return {"verdict": NOT_RUN, "reason": outcome.reason}
    verdict, reason = decide_number(published_value, statement, quantity, outcome)
    return {
        "verdict": verdict,
        "reason": reason,
        "value": outcome.value,
        "value_std": outcome.std,
        "ci_low": outcome.ci.low,
        "ci_high": outcome.ci.high,
        "ci90_low": outcome.ci90.low,
        "ci90_high": outcome.ci90.high,
        "smallest_size": outcome.sizes[0],
        "largest_size": outcome.sizes[1],
        "replicate": outcome.replicate,
        "n": outcome.n,
        "n_pretraining_seeds": outcome.pretraining_seeds,
        "variance_sources": " and ".join(outcome.variance_sources),
        "source": " ".join(outcome.sources),
    }
