"""Comparisons across data sets: equal-weight mean differences, for other trials, checkpoints and test clips."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.statistics.contrasts import SETTINGS, Question
from workflow_scripts.statistics.estimation import (
    TEST_CLIPS,
    Difference,
    Spread,
    common_trials,
    in_pairs,
    p_of,
    table_of,
    widened,
)
from workflow_scripts.statistics.guards import one_checkpoint, too_few
from workflow_scripts.statistics.inference import multi_dataset
from workflow_scripts.statistics.inference.random_effects import compare_checkpoints
from workflow_scripts.statistics.samples import Refused, fewest_checkpoints
from workflow_scripts.statistics.tables.summary import ERRORS, MEASURED, MISSING, REFUSED, adjust, frame, joined

BESIDE_SETS = tuple(factor for factor in SETTINGS if factor != "dataset")

ACROSS_COLUMNS = (
    *("study", "comparison", "metric", *BESIDE_SETS, "datasets", "sets", "status", "reason", "mark"),
    *("mean", "low", "high", "p", "p_holm", "family", "verdict", "covers", *ERRORS[3:]),
    *("replicate", "n", "checkpoints", "source"),
)


def across_table(questions: Sequence[Question]) -> pd.DataFrame:
    """One row per comparison asked on several data sets (columns `ACROSS_COLUMNS`): its equal-weight mean difference.

    A family of their own for Holm: the sets' own differences have been adjusted in theirs.
    """
    rows: list[dict[str, object]] = []
    for group in _by_comparison(questions).values():
        rows.append(_across_row(group))
    for study in dict.fromkeys(row["study"] for row in rows):
        adjust([row for row in rows if row["study"] == study])
    return frame(rows, ACROSS_COLUMNS)


def _by_comparison(questions: Iterable[Question]) -> dict[tuple[str, ...], list[Question]]:
    groups: dict[tuple[str, ...], list[Question]] = {}
    for question in questions:
        study, beside = question.study, (question.setting[name] for name in BESIDE_SETS)
        key = (study.name, study.metric, question.comparison.name, *beside)
        groups.setdefault(key, []).append(question)
    return {key: group for key, group in groups.items() if len({each.setting["dataset"] for each in group}) > 1}


def _across_row(group: Sequence[Question]) -> dict[str, object]:
    first = group[0]
    row: dict[str, object] = {
        **{"study": first.study.name, "comparison": first.comparison.name, "metric": first.study.metric},
        **{name: first.setting[name] for name in BESIDE_SETS},
        **{"datasets": joined(each.setting["dataset"] for each in group), "sets": len(group)},
        "source": joined(cell.source for each in group for cell in (*each.better, *each.than)),
    }
    absent = [
        f"{each.reason or each.difference.reason} ({each.setting['dataset']})"  # type: ignore[union-attr]
        for each in group
        if not isinstance(each.difference, Difference) or not each.difference.same_clips.known
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


def _answer(group: Sequence[Question], found: Sequence[Difference], same: multi_dataset.Across) -> dict[str, object]:
    """What is said of the mean over the sets, for other test clips if every set knows of them."""
    spread = Spread(low=same.low, high=same.high, error=same.error, degrees=same.degrees)
    p, covers = same.p, ["trials"] if found[0].replicate == "trials" else ["checkpoints", "trials"]
    if all(answer.groups for answer in found):
        covers.append(TEST_CLIPS)
        spread = widened(
            same.mean, spread, [(answer.errors.test_clips / len(found), answer.groups) for answer in found]
        )
        p = p_of(same.mean, spread, at_least=same.p)
    checkpoints = fewest_checkpoints(*(side for each in group for side in (each.better, each.than)))
    mark = one_checkpoint(checkpoints)
    return {
        **{"status": MEASURED, "reason": "" if math.isfinite(p) else same.reason, "mark": mark.reason if mark else ""},
        **{"mean": same.mean, "low": spread.low, "high": spread.high, "p": p, "covers": " and ".join(covers)},
        **{"error": spread.error, "degrees": spread.degrees},
        "replicate": found[0].replicate,
        "n": min(size for answer in found for size in answer.sizes if size > 1),
        "checkpoints": checkpoints,
    }


def _over_trials(group: Sequence[Question], found: Sequence[Difference]) -> multi_dataset.Across:
    """Mean over sets that have nothing random in common, on these test clips."""
    return multi_dataset.mean_over_sets(
        {
            question.setting["dataset"]: multi_dataset.Estimate(
                mean=answer.mean, error=answer.same_clips.error, degrees=answer.same_clips.degrees
            )
            for question, answer in zip(group, found, strict=True)
        }
    )


def _over_checkpoints(group: Sequence[Question]) -> multi_dataset.Across | str:
    """Mean over sets that share their checkpoints, on these test clips.

    A checkpoint that is good on one set tends to be good on the next, so each checkpoint's trials are averaged over the
    sets first.
    """
    trials = common_trials([cell for each in group for cell in (*each.better, *each.than)])
    if isinstance(trials, Refused):
        return trials.reason
    matched = [in_pairs(each.better, each.than) for each in group]
    seeds = {tuple(tuple(cell.pretrain_seed for cell in side) for side in (left, right)) for _, left, right in matched}
    if len(seeds) > 1:
        return "not the same checkpoints on every data set"
    left = np.mean([table_of(side, trials=trials) for _, side, _ in matched], axis=0)
    right = np.mean([table_of(side, trials=trials) for _, _, side in matched], axis=0)
    made = compare_checkpoints(left, right, pairs=matched[0][0])
    if not made.known:
        few = too_few(max(1, min(size for size in made.checkpoints if size > 1)), of="checkpoints")
        return few.reason if few else "no interval over the checkpoints"
    return multi_dataset.Across(
        sets=len(group),
        mean=made.mean,
        low=made.low,
        high=made.high,
        error=made.error,
        degrees=made.degrees,
        p=made.p,
        reason="" if made.tested else "the values do not vary: no test",
    )
