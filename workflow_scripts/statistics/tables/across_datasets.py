"""The table of comparisons across data sets: equal-weight mean differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import Contrast
from workflow_scripts.statistics.estimation import (
    PRETRAINING_SEEDS,
    TEST_SET,
    TRIALS,
    Difference,
    add_test_set_variance,
    p_value,
)
from workflow_scripts.statistics.guards import one_pretraining_seed, too_few
from workflow_scripts.statistics.inference.multi_dataset import (
    NO_VARIATION,
    DatasetEstimate,
    MultiDatasetMean,
    mean_over_datasets,
)
from workflow_scripts.statistics.inference.random_effects import compare_crossed
from workflow_scripts.statistics.samples import (
    NotComparable,
    as_matrix,
    common_trials,
    fewest_pretraining_seeds,
    pair_by_seed,
)
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
        "sets": len(group),
        "source": join_distinct(sample.source for sample in samples),
    }
    differences = [contrast.difference for contrast in group if _has_interval(contrast)]
    known = [difference for difference in differences if isinstance(difference, Difference)]
    if len(known) < len(group):
        computed = all(contrast.difference is not None for contrast in group)
        reasons = [
            f"{contrast.reason or contrast.difference.reason} ({contrast.setting['dataset']})"  # type: ignore[union-attr]
            for contrast in group
            if not _has_interval(contrast)
        ]
        return row | {"status": REFUSED if computed else MISSING, "reason": "; ".join(reasons)}
    one_seed_each = all(difference.replicate == "trials" for difference in known)
    mean = _mean_over_trials(group, known) if one_seed_each else _mean_over_seeds(group)
    if isinstance(mean, NotComparable):
        return row | {"status": REFUSED, "reason": mean.reason}
    return row | _estimate_fields(group, known, mean)


def _has_interval(contrast: Contrast) -> bool:
    return isinstance(contrast.difference, Difference) and contrast.difference.fixed_test_set.known


def _estimate_fields(
    group: Sequence[Contrast], differences: Sequence[Difference], mean: MultiDatasetMean
) -> dict[str, object]:
    """Return the columns about the mean over data sets, for other test sets if every data set knows about them."""
    replicate = differences[0].replicate
    ci, p = mean.ci, mean.p
    sources = [TRIALS] if replicate == "trials" else [PRETRAINING_SEEDS, TRIALS]
    if all(difference.clusters for difference in differences):
        sources.append(TEST_SET)
        test_sets = [(each.std_errors.test_set / len(differences), each.clusters) for each in differences]
        ci = add_test_set_variance(mean.mean, ci, test_sets)
        p = p_value(mean.mean, ci, at_least=mean.p)
    seeds = fewest_pretraining_seeds(*(side for each in group for side in (each.treatment, each.reference)))
    return {
        "status": MEASURED,
        "reason": "" if math.isfinite(p) else mean.reason,
        "mark": one_pretraining_seed(seeds),
        "mean": mean.mean,
        "ci_low": ci.low,
        "ci_high": ci.high,
        "p": p,
        "variance_sources": " and ".join(sources),
        "std_error": ci.std_error,
        "df": ci.df,
        "replicate": replicate,
        "n": min(n for difference in differences for n in difference.n if n > 1),
        "n_pretraining_seeds": seeds,
    }


def _mean_over_trials(group: Sequence[Contrast], differences: Sequence[Difference]) -> MultiDatasetMean:
    """Average over data sets that have nothing random in common, for the fixed test sets."""
    return mean_over_datasets(
        {
            contrast.setting["dataset"]: DatasetEstimate(
                mean=difference.mean,
                std_error=difference.fixed_test_set.std_error,
                df=difference.fixed_test_set.df,
            )
            for contrast, difference in zip(group, differences, strict=True)
        }
    )


def _mean_over_seeds(group: Sequence[Contrast]) -> MultiDatasetMean | NotComparable:
    """Average over data sets that share their pre-training seeds, for the fixed test sets.

    A seed that is good on one data set tends to be good on the next, so the trials of each seed are averaged over the
    data sets first.
    """
    trials = common_trials([sample for each in group for sample in (*each.treatment, *each.reference)])
    if isinstance(trials, NotComparable):
        return trials
    paired = [pair_by_seed(contrast.treatment, contrast.reference) for contrast in group]
    seeds = {tuple(tuple(sample.pretrain_seed for sample in side) for side in sides) for _, *sides in paired}
    if len(seeds) > 1:
        return NotComparable(reason="not the same pre-training seeds on every data set")
    left = np.mean([as_matrix(side, trials=trials) for _, side, _ in paired], axis=0)
    right = np.mean([as_matrix(side, trials=trials) for _, _, side in paired], axis=0)
    comparison = compare_crossed(left, right, pairs=paired[0][0])
    if not comparison.ci.known:
        fewest = max(1, min(size for size in comparison.pretraining_seeds if size > 1))
        reason = too_few(fewest, of="pretraining seeds") or "no interval over the pre-training seeds"
        return NotComparable(reason=reason)
    return MultiDatasetMean(
        datasets=len(group),
        mean=comparison.mean,
        ci=comparison.ci,
        p=comparison.p,
        reason="" if math.isfinite(comparison.p) else NO_VARIATION,
    )
