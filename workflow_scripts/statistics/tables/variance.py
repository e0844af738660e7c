"""Where the variation of a study's numbers comes from, and how many pre-training seeds would show a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import METHOD_FACTORS, SETTINGS, Contrast, TableEntry
from workflow_scripts.statistics.estimation import Difference, as_matrix, common_trials, pair_by_seed
from workflow_scripts.statistics.guards import too_few
from workflow_scripts.statistics.inference.power import seeds_needed
from workflow_scripts.statistics.inference.random_effects import decompose
from workflow_scripts.statistics.samples import NotComparable, TrialSample
from workflow_scripts.statistics.tables.summary import MEASURED, REFUSED, frame, joined

ALL_LABELS = "100pct"  # the fraction at which every trial trains on the same labels
NO_CHECKPOINT = "nothing was pre-trained"
POINTS = 100  # studies state differences as they are printed, in percent

VARIANCE_COLUMNS = (
    *(
        "study",
        "metric",
        "kind",
        *METHOD_FACTORS,
        "component",
        "std",
        "share",
        "reason",
        "n_pretraining_seeds",
        "trials",
    ),
    "source",
)
SEED_COLUMNS = (
    *("study", "comparison", "metric", *SETTINGS, "status", "reason", "wanted", "stated", "std"),
    *("n_pretraining_seeds", "seeds", "seeds_low", "seeds_high"),
)


def variance_table(entries: Sequence[TableEntry], test_set_errors: Sequence[float]) -> pd.DataFrame:
    """One row per measured entry and source of variance (columns `VARIANCE_COLUMNS`).

    `test_set_errors` are the standard errors of the entries that their test clips cause, as `entry_table` states them.
    `sd` is the deviation that a source gives to the value of a single trial of a single checkpoint, `share` its part of
    the variance that was identified; a source that the design does not tell apart has the reason instead.
    """
    of_entries = zip(entries, test_set_errors, strict=True)
    return frame(
        [row for entry, error in of_entries if entry.samples for row in _components(entry, error)], VARIANCE_COLUMNS
    )


def _components(entry: TableEntry, se_test_set: float) -> list[dict[str, object]]:
    trials = common_trials(entry.samples)
    if isinstance(trials, NotComparable):
        return []
    subsets = None if entry.levels["fraction"] == ALL_LABELS else trials
    parts = decompose(as_matrix(entry.samples, trials=trials), subsets=subsets, se_test_set=se_test_set)
    checkpoints = sum(sample.pretrained for sample in entry.samples)
    total = sum(part.std**2 for part in parts if part.identified)
    return [
        {
            **entry.levels,
            **{"study": entry.study.name, "metric": entry.study.metric, "kind": "floor" if entry.floor else "method"},
            **{"component": part.name, "std": part.std},
            "reason": NO_CHECKPOINT if part.name == "checkpoint" and not checkpoints else part.reason,
            "share": part.std**2 / total if part.identified and total else math.nan,
            "n_pretraining_seeds": checkpoints,
            "trials": len(trials),
            "source": joined(sample.source for sample in entry.samples),
        }
        for part in parts
    ]


def seeds_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Pre-training seeds that would show each difference with 80 % power (columns `SEED_COLUMNS`).

    `wanted` is the difference a study states in `detect`, otherwise the observed one (`stated` says which). Comparisons
    without a pre-trained side have no row.
    """
    asked = [contrast for contrast in contrasts if isinstance(contrast.difference, Difference)]
    return frame(
        [_seeds(each) for each in asked if _pretrained(each.treatment) or _pretrained(each.reference)], SEED_COLUMNS
    )


def _pretrained(samples: Sequence[TrialSample]) -> bool:
    return any(sample.pretrained for sample in samples)


def _seeds(contrast: Contrast) -> dict[str, object]:
    assert isinstance(contrast.difference, Difference)
    detect = contrast.study.detect
    wanted = abs(contrast.difference.mean) if detect is None else detect / POINTS
    checkpoints = max(len(side) for side in (contrast.treatment, contrast.reference))
    row: dict[str, object] = {
        **{"study": contrast.study.name, "comparison": contrast.comparison.name, "metric": contrast.study.metric},
        **contrast.setting,
        **{"wanted": wanted, "stated": "observed" if detect is None else "stated", "n_pretraining_seeds": checkpoints},
    }
    sizes = [len(side) for side in (contrast.treatment, contrast.reference) if len(side) > 1]
    few = too_few(min(sizes, default=1), of="pretraining seeds")
    if few:
        why = few.reason if sizes else "one checkpoint does not tell how much checkpoints differ"
        return row | {"status": REFUSED, "reason": f"{why}; run at least three pre-training seeds"}
    if not wanted:
        return row | {"status": REFUSED, "reason": "no difference was observed; state one in `detect`"}
    pairs, left, right = pair_by_seed(contrast.treatment, contrast.reference)
    sides = [np.array([sample.values.mean() for sample in side]) for side in (left, right)]
    several = [sides[0] - sides[1]] if pairs else [means for means in sides if len(means) > 1]
    std = math.sqrt(float(np.mean([means.var(ddof=1) for means in several])))
    needed = seeds_needed(
        wanted,
        std=std,
        df=sum(len(means) - 1 for means in several),
        sides=2 if len(several) > 1 else 1,
    )
    return row | {
        **{"status": MEASURED, "reason": "", "std": std},
        **{"seeds": needed.seeds, "seeds_low": needed.low, "seeds_high": needed.high},
    }
