"""The tables of numbers behind every table of words: per cell, per study entry and per comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.factors import FACTORS
from workflow_scripts.statistics.cells import Cell, Cells, Compared, Refused, compare, one_method, summarise
from workflow_scripts.statistics.comparisons import holm
from workflow_scripts.statistics.intervals import LEVEL, mean_interval
from workflow_scripts.statistics.plan import Comparison, Evaluation, Plan, Study
from workflow_scripts.statistics.reading import Kind, read_csv

#: what a comparison is made within, unless the comparison itself names it
SETTINGS = ("dataset", "head", "fraction")
METHOD_FACTORS = tuple(factor for factor in FACTORS if factor != "pretrain_seed")
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("mean", "sd", "low", "high", "effect", "p", "p_holm"), "number"),
    **dict.fromkeys(("trials", "checkpoints", "test_clips", "quarantined", "n", "family"), "count"),
}
MEASURED, MISSING, REFUSED = "measured", "missing", "refused"

CELL_COLUMNS = (
    *FACTORS,
    *("metric", "status", "reason", "mean", "sd", "low", "high", "trials"),
    *("test_clips", "quarantined", "source", "data", "studies"),
)
ENTRY_COLUMNS = (
    *("study", "metric", "kind"),
    *METHOD_FACTORS,
    *("pretrain_seeds", "status", "reason", "mean", "low", "high", "replicate", "trials", "checkpoints"),
    *("test_clips", "quarantined", "source", "data", "rank"),
)
COMPARISON_COLUMNS = (
    *("study", "comparison", "metric"),
    *SETTINGS,
    *("status", "reason", "replicate", "n", "mean", "low", "high", "effect", "p", "p_holm", "family"),
    *("verdict", "checkpoints", "source", "better", "than"),
)


def cell_table(plan: Plan, cells: Cells) -> pd.DataFrame:
    """One row per planned cell and metric (columns `CELL_COLUMNS`), missing cells with the reason; in planned order."""
    rows = []
    for evaluation in plan.evaluations:
        for metric in cells.metrics(evaluation) or [""]:
            rows.append(_cell_row(evaluation, metric, cells))
    return _frame(rows, CELL_COLUMNS, counts=("trials", "test_clips", "quarantined"))


def _cell_row(evaluation: Evaluation, metric: str, cells: Cells) -> dict[str, object]:
    row: dict[str, object] = {
        **evaluation.factors,
        "metric": metric,
        "studies": " ".join(sorted(evaluation.studies)),
        "reason": cells.reason_missing(evaluation, metric),
    }
    row["status"] = MISSING if row["reason"] else MEASURED
    cell = cells.get(evaluation, metric)
    if cell is None:
        return row
    interval = mean_interval(cell.values)
    return row | {
        **{"mean": interval.mean, "sd": interval.sd, "low": interval.low, "high": interval.high, "trials": interval.n},
        **{"test_clips": cell.test_clips, "quarantined": cell.quarantined, "source": cell.source, "data": cell.data},
    }


def entry_table(plan: Plan, cells: Cells) -> pd.DataFrame:
    """One row per entry of each study's table (columns `ENTRY_COLUMNS`), the checkpoints of a method taken together."""
    rows = [row for study in plan.studies for row in _entries(study, plan.of(study), cells)]
    return _frame(rows, ENTRY_COLUMNS, counts=("trials", "checkpoints", "test_clips", "quarantined"))


def _entries(study: Study, evaluations: Sequence[Evaluation], cells: Cells) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    by_column = _grouped(evaluations, study.columns)
    for in_column in by_column.values():
        measured: dict[int, list[Cell]] = {}
        for entry in _grouped(in_column, study.rows).values():
            differing = one_method(entry)
            if differing:
                raise UserError(
                    f"study {study.name}: rows ({', '.join(study.rows)}) and columns ({', '.join(study.columns)}) "
                    f"do not tell apart cells that differ in "
                    f"{', '.join(differing)}; name these factors in rows or columns"
                )
            row, found = _entry(study, entry, cells)
            if found:
                measured[len(rows)] = found
            rows.append(row)
        for number, rank in _ranks(measured).items():
            rows[number]["rank"] = rank
    return rows


def _entry(study: Study, entry: Sequence[Evaluation], cells: Cells) -> tuple[dict[str, object], list[Cell]]:
    reasons = [cells.reason_missing(evaluation, study.metric) for evaluation in entry]
    found = [
        cell
        for evaluation, reason in zip(entry, reasons, strict=True)
        if not reason and (cell := cells.get(evaluation, study.metric)) is not None
    ]
    row: dict[str, object] = {
        **{factor: entry[0].factors[factor] for factor in METHOD_FACTORS},
        "study": study.name,
        "metric": study.metric,
        "kind": "floor" if entry[0].factors["encoder"] in study.floors else "method",
        "pretrain_seeds": " ".join(cell.pretrain_seed for cell in found),
        "status": MEASURED if found else MISSING,
        "reason": _joined(reasons, of=len(entry)),
        "rank": "",
    }
    if not found:
        return row, found
    replicate, interval = summarise(found)
    return row | {
        **{"mean": interval.mean, "low": interval.low, "high": interval.high, "replicate": replicate},
        "trials": min(len(cell.values) for cell in found),
        "checkpoints": sum(cell.pretrained for cell in found),
        "test_clips": found[0].test_clips,
        "quarantined": found[0].quarantined,
        "source": _joined_words(cell.source for cell in found),
        "data": _joined_words(cell.data for cell in found),
    }, found


def _ranks(measured: Mapping[int, list[Cell]]) -> dict[int, str]:
    """Mark the highest mean of a column "best" and what was not shown to differ from it "tied".

    Tied means that the interval of the paired difference to the best includes zero. A column measured on different
    data, or with a single entry, is not ranked.
    """
    if len(measured) < 2 or len({cell.data for found in measured.values() for cell in found}) > 1:
        return {}
    means = {number: summarise(found)[1].mean for number, found in measured.items()}
    best = max(means, key=lambda number: means[number])
    ranks = {best: "best"}
    for number, found in measured.items():
        if number != best:
            compared = compare(measured[best], found)
            if isinstance(compared, Compared) and compared.result.difference.low <= 0:
                ranks[number] = "tied"
    return ranks


def comparison_table(plan: Plan, cells: Cells) -> pd.DataFrame:
    """One row per comparison and setting (columns `COMPARISON_COLUMNS`); Holm over all tests of the study."""
    rows = []
    for study in plan.studies:
        family = [
            row for comparison in study.comparisons for row in _compared(study, comparison, plan.of(study), cells)
        ]
        adjusted = holm([float(row.get("p", math.nan)) for row in family])  # type: ignore[arg-type]
        tested = sum(math.isfinite(p) for p in adjusted)
        for row, p in zip(family, adjusted, strict=True):
            rows.append(row | {"p_holm": p, "family": tested, "verdict": _verdict(row, p)})
    return _frame(rows, COMPARISON_COLUMNS, counts=("n", "family", "checkpoints"))


def _verdict(row: Mapping[str, object], p_holm: float) -> str:
    if not math.isfinite(p_holm):
        return ""
    if p_holm > 1 - LEVEL:
        return "no difference shown"
    return "better" if float(row["mean"]) > 0 else "worse"  # type: ignore[arg-type]


def _compared(
    study: Study, comparison: Comparison, evaluations: Sequence[Evaluation], cells: Cells
) -> list[dict[str, object]]:
    sides = [
        [each for each in evaluations if all(each.factors[factor] == level for factor, level in levels.items())]
        for levels in (comparison.better, comparison.than)
    ]
    settings = [name for name in SETTINGS if name not in comparison.better and name not in comparison.than]
    lefts, rights = (_grouped(side, settings) for side in sides)
    rows = []
    for key in dict.fromkeys([*lefts, *rights]) or [("",) * len(settings)]:
        row: dict[str, object] = {
            "study": study.name,
            "comparison": comparison.name,
            "metric": study.metric,
            **dict(zip(settings, key, strict=True)),
            "better": _named(comparison.better),
            "than": _named(comparison.than),
        }
        rows.append(row | _outcome(study, comparison, lefts.get(key, []), rights.get(key, []), cells))
    return rows


def _outcome(
    study: Study, comparison: Comparison, left: Sequence[Evaluation], right: Sequence[Evaluation], cells: Cells
) -> dict[str, object]:
    for side, levels in ((left, comparison.better), (right, comparison.than)):
        if not side:
            return {"status": MISSING, "reason": f"the study has no cell with {_named(levels)}"}
    samples: list[list[Cell]] = []
    for side in (left, right):
        differing = one_method(side)
        if differing:
            raise UserError(
                f"study {study.name}: comparison {comparison.name!r} does not tell apart cells that differ in "
                f"{', '.join(differing)}; name these factors in it"
            )
        reasons = [cells.reason_missing(each, study.metric) for each in side]
        if any(reasons):
            return {"status": MISSING, "reason": _joined(reasons, of=len(side))}
        samples.append([cell for each in side if (cell := cells.get(each, study.metric)) is not None])
    compared = compare(*samples)
    if isinstance(compared, Refused):
        return {"status": REFUSED, "reason": compared.reason}
    difference = compared.result.difference
    return {
        **{"status": MEASURED, "replicate": compared.replicate, "n": difference.n, "mean": difference.mean},
        **{"low": difference.low, "high": difference.high, "effect": compared.result.effect, "p": compared.result.p},
        "reason": _untested(compared),
        "checkpoints": max(sum(cell.pretrained for cell in side) for side in samples),
        "source": _joined_words(cell.source for side in samples for cell in side),
    }


def _untested(compared: Compared) -> str:
    if compared.result.tested:
        return ""
    if not compared.result.difference.known:
        return f"fewer than three {compared.replicate}: no interval, no test"
    return f"the difference is the same in all {compared.replicate}: no test"


def _grouped(evaluations: Iterable[Evaluation], factors: Sequence[str]) -> dict[tuple[str, ...], list[Evaluation]]:
    groups: dict[tuple[str, ...], list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(tuple(evaluation.factors[factor] for factor in factors), []).append(evaluation)
    return groups


def _joined(reasons: Sequence[str], *, of: int) -> str:
    """The reasons why cells are missing, with their number where some are there."""
    given = [reason for reason in reasons if reason]
    text = "; ".join(dict.fromkeys(given))
    return text if not given or of == 1 else f"{text} ({len(given)} of {of} checkpoints)"


def _joined_words(words: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(words))


def _named(levels: Mapping[str, str]) -> str:
    return " ".join(f"{factor}={level}" for factor, level in levels.items())


def _frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, counts: Sequence[str]) -> pd.DataFrame:
    """Rows as a table; counts stay whole numbers where some are missing."""
    frame = pd.DataFrame(list(rows), columns=list(columns))
    return frame.astype(dict.fromkeys(counts, "Int64"))


def read_table(path: Path) -> pd.DataFrame:
    """Read back a table of this module: text stays text, numbers that are not there are missing."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run aggregate first")
    return read_csv(path, {name: KINDS.get(name, "text") for name in pd.read_csv(path, nrows=0).columns})
