"""The tables of numbers behind every table of words: per cell, per study entry and per comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Evaluation, Manifest
from workflow_scripts.statistics.contrasts import METHOD_FACTORS, SETTINGS, Entry, Question, named
from workflow_scripts.statistics.csv_io import Kind, read_csv
from workflow_scripts.statistics.estimation import Difference, Errors, difference, mean_of
from workflow_scripts.statistics.guards import one_checkpoint, too_few
from workflow_scripts.statistics.inference.confidence_intervals import LEVEL, mean_interval
from workflow_scripts.statistics.inference.hypothesis_tests import holm
from workflow_scripts.statistics.samples import Cell, Cells, Refused, fewest_checkpoints, objection
from workflow_scripts.statistics.test_set_bootstrap import Redrawn

ERRORS = ("checkpoint_error", "trial_error", "test_set_error", "error", "degrees")
#: names of the tables that are about studies, as files without their ending
TABLES = ("entries", "comparisons", "across", "ranks", "profiles", "variance", "seeds")
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("mean", "sd", "low", "high", "effect", "p", "p_holm", *ERRORS), "number"),
    **dict.fromkeys(
        ("same_clips_low", "same_clips_high", "same_clips_p", "same_clips_p_holm", "sign_flip_p"), "number"
    ),
    **dict.fromkeys(("trials", "checkpoints", "test_clips", "groups", "quarantined", "n", "n_than", "family"), "count"),
    **dict.fromkeys(("share", "threshold", "iqm", "wanted", "deviation"), "number"),
    **dict.fromkeys(("sets", "place", "place_low", "place_high", "seeds", "seeds_low", "seeds_high"), "count"),
}
MEASURED, MISSING, REFUSED = "measured", "missing", "refused"
BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"

CELL_COLUMNS = (
    *FACTORS,
    *("metric", "status", "reason", "mean", "sd", "low", "high", "trials"),
    *("test_clips", "quarantined", "source", "data", "studies"),
)
ENTRY_COLUMNS = (
    *("study", "metric", "kind"),
    *METHOD_FACTORS,
    *("pretrain_seeds", "status", "reason", "mark", "mean", "low", "high", "covers", *ERRORS),
    *("replicate", "trials", "checkpoints", "test_clips", "groups", "quarantined", "source", "data"),
    *("corpus_source", "rank"),
)
COMPARISON_COLUMNS = (
    *("study", "comparison", "metric"),
    *SETTINGS,
    *("status", "reason", "mark", "design", "replicate", "n", "n_than", "mean", "low", "high", "p", "p_holm", "family"),
    *("verdict", "covers", *ERRORS, "effect", "sign_flip_p"),
    *("same_clips_low", "same_clips_high", "same_clips_p", "same_clips_p_holm", "same_clips_verdict"),
    *("checkpoints", "test_clips", "groups", "source", "better", "than"),
)


def cell_table(plan: Manifest, cells: Cells) -> pd.DataFrame:
    """One row per planned cell and metric (columns `CELL_COLUMNS`), missing cells with the reason; in planned order.

    The interval is over the trials, on these test clips.
    """
    rows = []
    for evaluation in plan.evaluations:
        for metric in cells.metrics(evaluation) or [""]:
            rows.append(_cell_row(evaluation, metric, cells))
    return frame(rows, CELL_COLUMNS)


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


def entry_table(
    entries: Sequence[Entry], redrawn: Redrawn, *, corpora: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """One row per entry of the studies' tables (columns `ENTRY_COLUMNS`), checkpoints of a method taken together.

    `low` and `high` are for other trials, checkpoints and test clips as far as `covers` says; the errors are the
    standard errors that each contributes. `corpora` are the sources of the prepared corpora, of which `corpus_source`
    tells that of the pre-training corpus.
    """
    rows = [_entry_row(entry, redrawn, corpora) for entry in entries]
    by_column: dict[tuple[object, ...], dict[int, Entry]] = {}
    for number, entry in enumerate(entries):
        if entry.cells:
            by_column.setdefault((entry.study.name, entry.study.metric, entry.column), {})[number] = entry
    for in_column in by_column.values():
        means = {number: float(rows[number]["mean"]) for number in in_column}  # type: ignore[arg-type]
        for number, rank in _ranks(in_column, means, redrawn).items():
            rows[number]["rank"] = rank
    return frame(rows, ENTRY_COLUMNS)


def _entry_row(entry: Entry, redrawn: Redrawn, corpora: Mapping[str, str]) -> dict[str, object]:
    row: dict[str, object] = {
        **entry.levels,
        "study": entry.study.name,
        "metric": entry.study.metric,
        "kind": "floor" if entry.floor else "method",
        "pretrain_seeds": " ".join(cell.pretrain_seed for cell in entry.cells),
        "status": MEASURED if entry.cells else MISSING,
        "reason": entry.reason,
        "rank": "",
    }
    if not entry.cells:
        return row
    made = mean_of(entry.cells, redrawn)
    few = too_few(made.n, of=made.replicate)
    return row | {
        **{"mean": made.mean, "low": made.spread.low, "high": made.spread.high, "replicate": made.replicate},
        **_errors(made.errors, made.spread.error, made.spread.degrees),
        **_evidence([entry.cells], made.groups),
        "reason": "; ".join(filter(None, [entry.reason, few.reason if few else ""])),
        "trials": min(len(cell.values) for cell in entry.cells),
        "quarantined": entry.cells[0].quarantined,
        "data": joined(cell.data for cell in entry.cells),
        "corpus_source": corpora.get(entry.levels["corpus"], ""),
    }


def _errors(errors: Errors, error: float, degrees: float) -> dict[str, object]:
    return {
        "covers": " and ".join(errors.covers),
        "checkpoint_error": errors.checkpoints,
        "trial_error": errors.trials,
        "test_set_error": errors.test_clips,
        **{"error": error, "degrees": degrees},
    }


def _evidence(sides: Sequence[Sequence[Cell]], groups: int) -> dict[str, object]:
    """What stands behind a number: checkpoints, the mark of a single one, test clips and where the data came from."""
    checkpoints = fewest_checkpoints(*sides)
    mark = one_checkpoint(checkpoints)
    return {
        "checkpoints": checkpoints,
        "mark": mark.reason if mark else "",
        "test_clips": sides[0][0].test_clips,
        "groups": groups or None,
        "source": joined(cell.source for side in sides for cell in side),
    }


def _ranks(measured: Mapping[int, Entry], means: Mapping[int, float], redrawn: Redrawn) -> dict[int, str]:
    """Mark the highest mean of a column "best" and what was not shown to differ from it "tied".

    The best was picked from all, so p is adjusted for every pair of the column (Bonferroni): without that, some of
    twenty equal methods lack the mark in seven of eight columns. A column measured on different data, or with a single
    entry, is not ranked.
    """
    if len(measured) < 2 or objection([cell for entry in measured.values() for cell in entry.cells]):
        return {}
    best = max(means, key=lambda number: means[number])
    pairs = math.comb(len(measured), 2)
    ranks = {}
    for number, entry in measured.items():
        compared = None if number == best else difference(measured[best].cells, entry.cells, redrawn)
        if compared is None or not _shown(compared, tests=pairs):
            ranks[number] = "best" if number == best else "tied"
    return ranks


def _shown(compared: Difference | Refused, *, tests: int) -> bool:
    """Whether one of so many differences is above zero beyond chance; nothing is shown where there is no test.

    A difference that is the same in every trial has an interval and no p: it is.
    """
    return isinstance(compared, Difference) and compared.spread.low > 0 and not compared.p * tests > 1 - LEVEL


def comparison_table(questions: Sequence[Question]) -> pd.DataFrame:
    """One row per question (columns `COMPARISON_COLUMNS`); Holm over all tests of a study.

    `p`, `low`, `high` and the verdict are for other test clips too, as far as `covers` says; `same_clips_...` are for
    these test clips alone.
    """
    rows = [_comparison_row(question) for question in questions]
    for study in dict.fromkeys(question.study.name for question in questions):
        adjust([row for row in rows if row["study"] == study])
    return frame(rows, COMPARISON_COLUMNS)


def adjust(family: Sequence[dict[str, object]]) -> None:
    """Add to the rows of one family their p adjusted by Holm, its size and the verdicts."""
    for prefix in ("", "same_clips_"):
        adjusted = holm([_number(row, f"{prefix}p") for row in family])
        for row, p in zip(family, adjusted, strict=True):
            row[f"{prefix}p_holm"] = p
            row[f"{prefix}verdict"] = _verdict(row, p)
    tested = sum(math.isfinite(_number(row, "p")) for row in family)
    for row in family:
        row["family"] = tested


def _number(row: Mapping[str, object], name: str) -> float:
    return float(row.get(name, math.nan))  # type: ignore[arg-type]


def _verdict(row: Mapping[str, object], p_holm: float) -> str:
    if not math.isfinite(p_holm):
        return ""
    if p_holm > 1 - LEVEL:
        return NOT_SHOWN
    return BETTER if _number(row, "mean") > 0 else WORSE


def _comparison_row(question: Question) -> dict[str, object]:
    row: dict[str, object] = {
        "study": question.study.name,
        "comparison": question.comparison.name,
        "metric": question.study.metric,
        **question.setting,
        "better": named(question.comparison.treatment),
        "than": named(question.comparison.reference),
    }
    made = question.difference
    if made is None:
        return row | {"status": MISSING, "reason": question.reason}
    if isinstance(made, Refused):
        return row | {"status": REFUSED, "reason": made.reason}
    return row | {
        **{"status": MEASURED, "reason": made.reason, "design": made.design, "replicate": made.replicate},
        **{"n": made.sizes[0], "n_than": made.sizes[1], "mean": made.mean, "p": made.p},
        **{"low": made.spread.low, "high": made.spread.high, "effect": made.effect, "sign_flip_p": made.sign_flip_p},
        **{"same_clips_low": made.same_clips.low, "same_clips_high": made.same_clips.high},
        "same_clips_p": made.same_clips_p,
        **_errors(made.errors, made.spread.error, made.spread.degrees),
        **_evidence([question.better, question.than], made.groups),
    }


def joined(words: Iterable[str]) -> str:
    """Different words in one text, in their order."""
    return " ".join(dict.fromkeys(words))


def frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a table; counts stay whole numbers where some are missing, and missing text is empty."""
    made = pd.DataFrame(list(rows), columns=list(columns))
    kinds = {column: KINDS.get(column, "text") for column in columns}
    made = made.astype({column: "Int64" for column, kind in kinds.items() if kind == "count"})
    made = made.astype({column: "float64" for column, kind in kinds.items() if kind == "number"})
    texts = [column for column, kind in kinds.items() if kind == "text"]
    made[texts] = made[texts].astype(object).where(made[texts].notna(), "")
    return made


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Every table about studies that `aggregate` wrote, by name; `UserError` names one that is absent or damaged."""
    columns = {"entries": ENTRY_COLUMNS, "comparisons": COMPARISON_COLUMNS}
    return {name: read_table(folder / f"{name}.csv", columns=columns.get(name, ())) for name in TABLES}


def read_table(path: Path, *, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read back a table of this module: text stays text, numbers that are not there are missing.

    `UserError` names a file that is absent, damaged or without one of `columns`.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run aggregate first")
    try:
        kinds = {str(name): KINDS.get(str(name), "text") for name in pd.read_csv(path, nrows=0).columns}
        table = read_csv(path, kinds)
    except ValueError as error:  # UnicodeDecodeError is one, and so is what pandas raises
        raise UserError(f"{path}: not a table ({error}); run aggregate again") from error
    absent = [column for column in columns if column not in kinds]
    if absent:
        raise UserError(f"{path}: no column {', '.join(absent)}: of another version; run aggregate again")
    # what follows looks at single values of small groups of rows, for which pandas' own text is slow
    return table.astype({name: object for name, kind in kinds.items() if kind == "text"})
