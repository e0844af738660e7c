"""Comparisons across data sets: equal-weight mean differences, for other trials, checkpoints and test clips."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import SETTINGS, Contrast
from workflow_scripts.statistics.estimation import (
    TEST_SET,
    ConfidenceInterval,
    Difference,
    add_test_set_variance,
    as_matrix,
    common_trials,
    p_value,
    pair_by_seed,
)
from workflow_scripts.statistics.guards import one_checkpoint, too_few
from workflow_scripts.statistics.inference import multi_dataset
from workflow_scripts.statistics.inference.random_effects import compare_checkpoints
from workflow_scripts.statistics.samples import NotComparable, fewest_checkpoints
from workflow_scripts.statistics.tables.summary import (
    MEASURED,
    MISSING,
    REFUSED,
    STANDARD_ERRORS,
    adjust,
    frame,
    joined,
)

BESIDE_SETS = tuple(factor for factor in SETTINGS if factor != "dataset")

ACROSS_COLUMNS = (
    *("study", "comparison", "metric", *BESIDE_SETS, "datasets", "sets", "status", "reason", "mark"),
    *("mean", "ci_low", "ci_high", "p", "p_holm", "family", "verdict", "variance_sources", *STANDARD_ERRORS[3:]),
    *("replicate", "n", "n_pretraining_seeds", "source"),
)


def across_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """One row per comparison asked on several data sets (columns `ACROSS_COLUMNS`): its equal-weight mean difference.

    A family of their own for Holm: the sets' own differences have been adjusted in theirs.
    """
    rows: list[dict[str, object]] = []
    for group in _by_comparison(contrasts).values():
        rows.append(_across_row(group))
    for study in dict.fromkeys(row["study"] for row in rows):
        adjust([row for row in rows if row["study"] == study])
    return frame(rows, ACROSS_COLUMNS)


def _by_comparison(contrasts: Iterable[Contrast]) -> dict[tuple[str, ...], list[Contrast]]:
    groups: dict[tuple[str, ...], list[Contrast]] = {}
    for contrast in contrasts:
        study, beside = contrast.study, (contrast.setting[name] for name in BESIDE_SETS)
        key = (study.name, study.metric, contrast.comparison.name, *beside)
        groups.setdefault(key, []).append(contrast)
    return {key: group for key, group in groups.items() if len({each.setting["dataset"] for each in group}) > 1}


def _across_row(group: Sequence[Contrast]) -> dict[str, object]:
    first = group[0]
    row: dict[str, object] = {
        **{"study": first.study.name, "comparison": first.comparison.name, "metric": first.study.metric},
        **{name: first.setting[name] for name in BESIDE_SETS},
        **{"datasets": joined(each.setting["dataset"] for each in group), "sets": len(group)},
        "source": joined(sample.source for each in group for sample in (*each.treatment, *each.reference)),
    }
    absent = [
        f"{each.reason or each.difference.reason} ({each.setting['dataset']})"  # type: ignore[union-attr]
        for each in group
        if not isinstance(each.difference, Difference) or not each.difference.fixed_test_set.known
    ]
    if absent:
        answered = all(each.difference is not None for each in group)
        return row | {"status": REFUSED if answered else MISSING, "reason": "; ".join(absent)}
    found = [each.difference for each in group if isinstance(each.difference, Difference)]
    alone = all(answer.replicate == "trials" for answer in found)
    same = _over_trials(group, found) if alone else _over_checkpoints(group)
    if isinstance(same, str):
        return row | {"status": REFUSED, "reason": same}
    return row | _answer(group, found, same)


def _answer(group: Sequence[Contrast], found: Sequence[Difference], same: multi_dataset.Across) -> dict[str, object]:
    """What is said of the mean over the sets, for other test clips if every set knows of them."""
    spread = ConfidenceInterval(low=same.low, high=same.high, std_error=same.std_error, df=same.df)
    p, variance_sources = same.p, ["trials"] if found[0].replicate == "trials" else ["pretraining seeds", "trials"]
    if all(answer.clusters for answer in found):
        variance_sources.append(TEST_SET)
        spread = add_test_set_variance(
            same.mean, spread, [(answer.errors.test_set / len(found), answer.clusters) for answer in found]
        )
        p = p_value(same.mean, spread, at_least=same.p)
    checkpoints = fewest_checkpoints(*(side for each in group for side in (each.treatment, each.reference)))
    mark = one_checkpoint(checkpoints)
    return {
        **{"status": MEASURED, "reason": "" if math.isfinite(p) else same.reason, "mark": mark.reason if mark else ""},
        **{
            "mean": same.mean,
            "ci_low": spread.low,
            "ci_high": spread.high,
            "p": p,
            "variance_sources": " and ".join(variance_sources),
        },
        **{"std_error": spread.std_error, "df": spread.df},
        "replicate": found[0].replicate,
        "n": min(size for answer in found for size in answer.sizes if size > 1),
        "n_pretraining_seeds": checkpoints,
    }


def _over_trials(group: Sequence[Contrast], found: Sequence[Difference]) -> multi_dataset.Across:
    """Mean over sets that have nothing random in common, on these test clips."""
    return multi_dataset.mean_over_sets(
        {
            contrast.setting["dataset"]: multi_dataset.Estimate(
                mean=answer.mean, std_error=answer.fixed_test_set.std_error, df=answer.fixed_test_set.df
            )
            for contrast, answer in zip(group, found, strict=True)
        }
    )


def _over_checkpoints(group: Sequence[Contrast]) -> multi_dataset.Across | str:
    """Mean over sets that share their checkpoints, on these test clips.

    A checkpoint that is good on one set tends to be good on the next, so each checkpoint's trials are averaged over the
    sets first.
    """
    trials = common_trials([sample for each in group for sample in (*each.treatment, *each.reference)])
    if isinstance(trials, NotComparable):
        return trials.reason
    matched = [pair_by_seed(each.treatment, each.reference) for each in group]
    seeds = {
        tuple(tuple(sample.pretrain_seed for sample in side) for side in (left, right)) for _, left, right in matched
    }
    if len(seeds) > 1:
        return "not the same checkpoints on every data set"
    left = np.mean([as_matrix(side, trials=trials) for _, side, _ in matched], axis=0)
    right = np.mean([as_matrix(side, trials=trials) for _, _, side in matched], axis=0)
    made = compare_checkpoints(left, right, pairs=matched[0][0])
    if not made.known:
        few = too_few(max(1, min(size for size in made.checkpoints if size > 1)), of="pretraining seeds")
        return few.reason if few else "no interval over the checkpoints"
    return multi_dataset.Across(
        sets=len(group),
        mean=made.mean,
        low=made.low,
        high=made.high,
        std_error=made.std_error,
        df=made.df,
        p=made.p,
        reason="" if made.tested else "the values do not vary: no test",
    )
