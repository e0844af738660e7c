"""Where the variation of a study's numbers comes from, and how many pre-training seeds would show a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import METHOD_FACTORS, SETTINGS, Entry, Question
from workflow_scripts.statistics.estimation import Difference, common_trials, in_pairs, table_of
from workflow_scripts.statistics.guards import too_few
from workflow_scripts.statistics.inference.power import seeds_needed
from workflow_scripts.statistics.inference.random_effects import decompose
from workflow_scripts.statistics.samples import Cell, Refused
from workflow_scripts.statistics.tables.summary import MEASURED, REFUSED, frame, joined

ALL_LABELS = "100pct"  # the fraction at which every trial trains on the same labels
NO_CHECKPOINT = "nothing was pre-trained"
POINTS = 100  # studies state differences as they are printed, in percent

VARIANCE_COLUMNS = (
    *("study", "metric", "kind", *METHOD_FACTORS, "component", "sd", "share", "reason", "checkpoints", "trials"),
    "source",
)
SEED_COLUMNS = (
    *("study", "comparison", "metric", *SETTINGS, "status", "reason", "wanted", "stated", "deviation"),
    *("checkpoints", "seeds", "seeds_low", "seeds_high"),
)


def variance_table(entries: Sequence[Entry], test_set_errors: Sequence[float]) -> pd.DataFrame:
    """One row per measured entry and source of variance (columns `VARIANCE_COLUMNS`).

    `test_set_errors` are the standard errors of the entries that their test clips cause, as `entry_table` states them.
    `sd` is the deviation that a source gives to the value of a single trial of a single checkpoint, `share` its part of
    the variance that was identified; a source that the design does not tell apart has the reason instead.
    """
    of_entries = zip(entries, test_set_errors, strict=True)
    return frame(
        [row for entry, error in of_entries if entry.cells for row in _components(entry, error)], VARIANCE_COLUMNS
    )


def _components(entry: Entry, test_set_error: float) -> list[dict[str, object]]:
    trials = common_trials(entry.cells)
    if isinstance(trials, Refused):
        return []
    subsets = None if entry.levels["fraction"] == ALL_LABELS else trials
    parts = decompose(table_of(entry.cells, trials=trials), subsets=subsets, test_set_error=test_set_error)
    checkpoints = sum(cell.pretrained for cell in entry.cells)
    total = sum(part.sd**2 for part in parts if part.identified)
    return [
        {
            **entry.levels,
            **{"study": entry.study.name, "metric": entry.study.metric, "kind": "floor" if entry.floor else "method"},
            **{"component": part.name, "sd": part.sd},
            "reason": NO_CHECKPOINT if part.name == "checkpoint" and not checkpoints else part.reason,
            "share": part.sd**2 / total if part.identified and total else math.nan,
            "checkpoints": checkpoints,
            "trials": len(trials),
            "source": joined(cell.source for cell in entry.cells),
        }
        for part in parts
    ]


def seeds_table(questions: Sequence[Question]) -> pd.DataFrame:
    """Pre-training seeds that would show each difference with 80 % power (columns `SEED_COLUMNS`).

    `wanted` is the difference a study states in `detect`, otherwise the observed one (`stated` says which). Comparisons
    without a pre-trained side have no row.
    """
    asked = [question for question in questions if isinstance(question.difference, Difference)]
    return frame([_seeds(each) for each in asked if _pretrained(each.better) or _pretrained(each.than)], SEED_COLUMNS)


def _pretrained(cells: Sequence[Cell]) -> bool:
    return any(cell.pretrained for cell in cells)


def _seeds(question: Question) -> dict[str, object]:
    assert isinstance(question.difference, Difference)
    detect = question.study.detect
    wanted = abs(question.difference.mean) if detect is None else detect / POINTS
    checkpoints = max(len(side) for side in (question.better, question.than))
    row: dict[str, object] = {
        **{"study": question.study.name, "comparison": question.comparison.name, "metric": question.study.metric},
        **question.setting,
        **{"wanted": wanted, "stated": "observed" if detect is None else "stated", "checkpoints": checkpoints},
    }
    sizes = [len(side) for side in (question.better, question.than) if len(side) > 1]
    few = too_few(min(sizes, default=1), of="checkpoints")
    if few:
        why = few.reason if sizes else "one checkpoint does not tell how much checkpoints differ"
        return row | {"status": REFUSED, "reason": f"{why}; run at least three pre-training seeds"}
    if not wanted:
        return row | {"status": REFUSED, "reason": "no difference was observed; state one in `detect`"}
    pairs, left, right = in_pairs(question.better, question.than)
    sides = [np.array([cell.values.mean() for cell in side]) for side in (left, right)]
    several = [sides[0] - sides[1]] if pairs else [means for means in sides if len(means) > 1]
    deviation = math.sqrt(float(np.mean([means.var(ddof=1) for means in several])))
    needed = seeds_needed(
        wanted,
        deviation=deviation,
        degrees=sum(len(means) - 1 for means in several),
        sides=2 if len(several) > 1 else 1,
    )
    return row | {
        **{"status": MEASURED, "reason": "", "deviation": deviation},
        **{"seeds": needed.seeds, "seeds_low": needed.low, "seeds_high": needed.high},
    }
