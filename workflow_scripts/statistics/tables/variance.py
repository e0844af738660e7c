"""The table of variance: sources of the variation of a study's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from workflow_scripts.levels.fractions import ALL_LABELS
from workflow_scripts.statistics.contrasts import TableEntry
from workflow_scripts.statistics.inference.random_effects import SEED, decompose
from workflow_scripts.statistics.samples import NotComparable, as_matrix, common_trials
from workflow_scripts.statistics.tables.schema import VARIANCE_COLUMNS, join_distinct, to_frame

NOT_PRETRAINED = "nothing was pre-trained"


def variance_table(entries: Sequence[TableEntry], se_test_set: Sequence[float]) -> pd.DataFrame:
    """Build one row per measured entry and source of variance (columns `VARIANCE_COLUMNS`).

    `se_test_set` are the standard errors of the entries due to the test set, as `entry_table` states them. `std` is the
    standard deviation that a source gives to the value of a single trial of a single pre-training seed, `share` its
    part of the variance that was identified; a source that the design does not identify has the reason instead.
    """
    of_entries = zip(entries, se_test_set, strict=True)
    return to_frame(
        [row for entry, std_error in of_entries if entry.samples for row in _components(entry, std_error)],
        VARIANCE_COLUMNS,
    )


def _components(entry: TableEntry, se_test_set: float) -> list[dict[str, object]]:
    trials = common_trials(entry.samples)
    if isinstance(trials, NotComparable):
        return []
    subsets = None if entry.levels["fraction"] == ALL_LABELS else trials
    components = decompose(as_matrix(entry.samples, trials=trials), subsets=subsets, se_test_set=se_test_set)
    seeds = sum(sample.pretrained for sample in entry.samples)
    total = sum(component.std**2 for component in components if component.is_identified)
    return [
        {
            **entry.levels,
            "study": entry.study.name,
            "metric": entry.study.metric,
            "kind": "floor" if entry.floor else "method",
            "component": component.name,
            "std": component.std,
            "reason": NOT_PRETRAINED if component.name == SEED and not seeds else component.reason,
            "share": component.std**2 / total if component.is_identified and total else math.nan,
            "n_pretraining_seeds": seeds,
            "n_trials": len(trials),
            "source": join_distinct(sample.source for sample in entry.samples),
        }
        for component in components
    ]
