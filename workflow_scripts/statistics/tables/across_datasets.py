"""The table of comparisons across data sets: equal-weight mean differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from workflow_scripts.statistics.contrasts import Contrast
from workflow_scripts.statistics.estimation import DatasetComparison, Difference, average_over_datasets
from workflow_scripts.statistics.guards import one_pretraining_seed_reason
from workflow_scripts.statistics.samples import NotComparable, fewest_pretraining_seeds
from workflow_scripts.statistics.tables.comparisons import adjust_family
from workflow_scripts.statistics.tables.schema import (
    ACROSS_COLUMNS,
    BESIDE_DATASETS,
    MEASURED,
    MISSING,
    REFUSED,
    join_distinct,
    to_frame,
)


def across_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Build one row per comparison made on several data sets (columns `ACROSS_COLUMNS`): its equal-weight mean.

    A family of their own for Holm: the differences on single data sets have been adjusted in theirs.
    """
    rows = [_row(group) for group in _group_by_comparison(contrasts)]
    for study in dict.fromkeys(row["study"] for row in rows):
        adjust_family([row for row in rows if row["study"] == study])
    return to_frame(rows, ACROSS_COLUMNS)


def _group_by_comparison(contrasts: Iterable[Contrast]) -> list[list[Contrast]]:
    groups: dict[tuple[str, ...], list[Contrast]] = {}
    for contrast in contrasts:
        study, beside = contrast.study, (contrast.setting[name] for name in BESIDE_DATASETS)
        key = (study.name, study.metric, contrast.comparison.name, *beside)
        groups.setdefault(key, []).append(contrast)
    return [group for group in groups.values() if len({contrast.setting["dataset"] for contrast in group}) > 1]


def _row(group: Sequence[Contrast]) -> dict[str, object]:
    first = group[0]
    samples = (sample for contrast in group for sample in (*contrast.treatment, *contrast.reference))
    row: dict[str, object] = {
        "study": first.study.name,
        "comparison": first.comparison.name,
        "metric": first.study.metric,
        **{name: first.setting[name] for name in BESIDE_DATASETS},
        "datasets": join_distinct(contrast.setting["dataset"] for contrast in group),
        "n_datasets": len(group),
        "source": join_distinct(sample.source for sample in samples),
    }
    comparisons = [
        DatasetComparison(
            dataset=contrast.setting["dataset"],
            treatment=contrast.treatment,
            reference=contrast.reference,
            difference=contrast.difference,
        )
        for contrast in group
        if isinstance(contrast.difference, Difference) and contrast.difference.fixed_test_set.is_known
    ]
    if len(comparisons) < len(group):
        return row | _why_unknown(group)
    mean = average_over_datasets(comparisons)
    if isinstance(mean, NotComparable):
        return row | {"status": REFUSED, "reason": mean.reason}
    seeds = fewest_pretraining_seeds(*(side for contrast in group for side in (contrast.treatment, contrast.reference)))
    return row | {
        "status": MEASURED,
        "reason": mean.reason,
        "caveat": one_pretraining_seed_reason(seeds),
        "mean": mean.mean,
        "ci_low": mean.ci.low,
        "ci_high": mean.ci.high,
        "p": mean.p,
        "variance_sources": " and ".join(mean.variance_sources),
        "std_error": mean.ci.std_error,
        "df": mean.ci.df,
        "replicate": mean.replicate,
        "n": mean.n,
        "n_pretraining_seeds": seeds,
    }


def _why_unknown(group: Sequence[Contrast]) -> dict[str, object]:
    """Return status and reason of a comparison that has no interval on some data sets."""
    reasons = []
    for contrast in group:
        difference = contrast.difference
        if difference is None:
            reasons.append(f"{contrast.reason} ({contrast.setting['dataset']})")
        elif isinstance(difference, NotComparable) or not difference.fixed_test_set.is_known:
            reasons.append(f"{difference.reason} ({contrast.setting['dataset']})")
    computed = all(contrast.difference is not None for contrast in group)
    return {"status": REFUSED if computed else MISSING, "reason": "; ".join(reasons)}
