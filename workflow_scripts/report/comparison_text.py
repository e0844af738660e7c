"""Comparisons of a study as sentences and as printed numbers, and the count of their verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import Comparison, Study
from workflow_scripts.report import labels, number_format
from workflow_scripts.report.number_format import Measure
from workflow_scripts.statistics.estimation import CONFIDENCE_LEVEL, TEST_SET
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.tables.schema import BETTER, MISSING, NOT_SHOWN, REFUSED, SETTINGS, WORSE

THESE_CLIPS = "on these test clips only"
NOT_COMPARABLE = "not comparable"
#: verdicts in the order of their counts, each after its number
COUNTED = {
    BETTER: BETTER,
    WORSE: WORSE,
    f"{BETTER} {THESE_CLIPS}": f"{BETTER} {THESE_CLIPS}",
    f"{WORSE} {THESE_CLIPS}": f"{WORSE} {THESE_CLIPS}",
    NOT_SHOWN: f"with {NOT_SHOWN}",
    "": "without a test",  # too few replicates, or no variation between them
    NOT_COMPARABLE: NOT_COMPARABLE,
    MISSING: MISSING,
}
FIRMNESS = {verdict: place // 2 for place, verdict in enumerate(COUNTED)}  # a gain is as firm as a loss
DIFFERENT = (BETTER, WORSE, f"{BETTER} {THESE_CLIPS}", f"{WORSE} {THESE_CLIPS}")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A difference in the printed unit with its interval, that for these test clips only, and the effect.

    The ends are not-a-number where there is no interval.
    """

    unit: str
    mean: float
    low: float
    high: float
    fixed_low: float
    fixed_high: float
    effect: float


@dataclass(frozen=True, kw_only=True)
class PrintedComparison:
    """One comparison on one data set, as a sentence and as printed numbers; `estimate` is None without numbers."""

    comparison: str
    setting: str
    difference: str
    interval: str
    evidence: str
    effect: str
    p: str
    p_sign_flip: str
    p_holm: str
    p_holm_other_clips: str
    verdict: str
    sentence: str
    estimate: Estimate | None = None

    @property
    def outcome(self) -> str:
        """Key of its verdict in `COUNTED`."""
        return verdict_class(self.verdict)

    @property
    def strength(self) -> tuple[int, bool, float]:
        """Place among other comparisons, the strongest first: by verdict, then by effect, then by difference.

        Gains and losses count alike.
        """
        if self.estimate is None:
            return FIRMNESS[self.outcome], True, 0.0
        unknown = not math.isfinite(self.estimate.effect)
        return FIRMNESS[self.outcome], unknown, -abs(self.estimate.mean if unknown else self.estimate.effect)


def select_strongest(comparisons: Sequence[PrintedComparison], most: int) -> list[PrintedComparison]:
    """Return the comparisons that best answer a study's question, the strongest first.

    Each pair of methods has its strongest data set among them, as far as there is room, before any has a second one,
    which shows a difference.
    """
    ordered = sorted(comparisons, key=lambda comparison: comparison.strength)
    tested = [comparison for comparison in ordered if comparison.outcome in (*DIFFERENT, NOT_SHOWN)]
    first = list({comparison.comparison: comparison for comparison in reversed(tested)}.values())[::-1]
    others = [comparison for comparison in tested if comparison.outcome in DIFFERENT and comparison not in first]
    chosen = sorted(first, key=lambda comparison: comparison.strength)[:most] + others
    return sorted(chosen[:most], key=lambda comparison: comparison.strength) or ordered[:1]


def count_verdicts(comparisons: Sequence[PrintedComparison]) -> str:
    """Return a sentence with the number of comparisons by verdict."""
    counts = Counter(comparison.outcome for comparison in comparisons)
    by_verdict = [f"{counts[verdict]:,} {text}" for verdict, text in COUNTED.items() if counts[verdict]]
    if len(counts) == 1:
        verdict = COUNTED[next(iter(counts))].removeprefix("with ")
        return (
            f"{'The only comparison' if len(comparisons) == 1 else f'All {len(comparisons):,} comparisons'}: {verdict}."
        )
    return f"Of {number_format.count(len(comparisons), 'comparisons')}: {'; '.join(by_verdict)}."


def verdict_class(verdict: str) -> str:
    """Return the key in `COUNTED`; a verdict that is none of them is the reason why there was no test."""
    state = in_short(verdict)
    return state if state in COUNTED else ""


def format_comparison(record: dict, study: Study, comparisons: pd.DataFrame) -> PrintedComparison:
    """Return a row of `comparisons`, the study's rows of `comparisons.csv`, as printed."""
    measure = number_format.measure(record["metric"])
    comparison = find_comparison(study, record)
    setting = _setting(record, comparison, comparisons)
    if record["status"] in (MISSING, REFUSED):
        return _print_absent(record, comparison, setting)
    covers_test_set = TEST_SET in record["variance_sources"]
    return PrintedComparison(
        comparison=comparison.name,
        setting=setting,
        difference=number_format.number(record["mean"] * measure.scale, measure.decimals),
        interval=interval_beside_verdict(record, measure),
        evidence=_evidence(record),
        effect=number_format.number(record["effect"], 2) if math.isfinite(record["effect"]) else "",
        p=number_format.p_value(record["fixed_test_set_p"]),
        p_sign_flip=number_format.p_value(record["sign_flip_p"]),
        p_holm=number_format.p_value(record["fixed_test_set_p_holm"]),
        p_holm_other_clips=number_format.p_value(record["p_holm"]) if covers_test_set else "",
        verdict=_verdict(record),
        sentence=f"{setting}: {_result(comparison, record, measure)}; {_evidence(record)}.",
        estimate=Estimate(
            unit=measure.difference_unit,
            mean=record["mean"] * measure.scale,
            low=record["ci_low"] * measure.scale,
            high=record["ci_high"] * measure.scale,
            fixed_low=record["fixed_test_set_ci_low"] * measure.scale,
            fixed_high=record["fixed_test_set_ci_high"] * measure.scale,
            effect=record["effect"],
        ),
    )


def find_comparison(study: Study, record: dict) -> Comparison:
    """Return the study's comparison that a row of statistics is about; `UserError` if they are of another plan."""
    for comparison in study.comparisons:
        if comparison.name == record["comparison"]:
            return comparison
    raise UserError(f"no comparison {record['comparison']!r} in study {study.name}: run aggregate again")


def _print_absent(record: dict, comparison: Comparison, setting: str) -> PrintedComparison:
    """Return a comparison without numbers: one side is missing, or the sides are not comparable."""
    treatment, reference = sides(comparison)
    reason = absence_reason(record)
    blank = ("difference", "interval", "evidence", "effect", "p", "p_sign_flip", "p_holm", "p_holm_other_clips")
    texts: dict[str, Any] = dict.fromkeys(blank, "")
    return PrintedComparison(
        **texts,
        comparison=comparison.name,
        setting=setting,
        verdict=f"{reason.partition(': ')[0]}: {in_short(record['reason'])}",
        sentence=f"{setting}: {treatment} and {reference} not compared ({reason}).",
    )


def absence_reason(record: dict) -> str:
    """Return state and reason of a row of statistics without numbers, with the labels of data sets."""
    return labels.reason(f"{MISSING if record['status'] == MISSING else NOT_COMPARABLE}: {record['reason']}")


def sides(comparison: Comparison) -> tuple[str, str]:
    """Return phrases for treatment and reference; levels that both share are in the first, or in the setting."""
    shared = _shared_settings(comparison)
    treatment, reference = (_without(side, shared) for side in (comparison.treatment, comparison.reference))
    return labels.selection(treatment), labels.selection(reference, apart_from=treatment)


def _shared_settings(comparison: Comparison) -> dict[str, str]:
    """Return the settings, such as the data set, of which both sides name the same level."""
    return {
        factor: level
        for factor in SETTINGS
        if (level := comparison.treatment.get(factor)) is not None and comparison.reference.get(factor) == level
    }


def _without(levels: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    return {factor: level for factor, level in levels.items() if factor not in others}


def verdict_clause(verdict: str, treatment: str, reference: str) -> str:
    """Return a verdict with a difference as a clause without its size."""
    return f"{treatment} beats {reference}" if verdict == BETTER else f"{treatment} is worse than {reference}"


def size_in_direction(mean: float, low: float, high: float, measure: Measure) -> str:
    """Return the absolute difference with the interval in its direction, such as "by 2.0 points [1.0, 3.0]"."""
    low, high = (low, high) if mean >= 0 else (-high, -low)
    return f"by {number_format.amount(abs(mean), measure)} {number_format.interval(low, high, measure)}"


def adjustment_remark(record: dict) -> str:
    """Return a remark if the interval excludes zero but the adjusted p value is not significant; otherwise nothing."""
    if _significant_before_adjusting_only(record):
        return f" (not after adjusting for {number_format.count(int(record['family_size']), 'comparisons')})"
    return ""


def _significant_before_adjusting_only(record: dict) -> bool:
    return bool(record["p"] <= 1 - CONFIDENCE_LEVEL < record["p_holm"])


def interval_beside_verdict(record: dict, measure: Measure) -> str:
    """Return the interval, with a remark where it does not seem to agree with the verdict."""
    text = number_format.interval(record["ci_low"], record["ci_high"], measure)
    other_clips = " for other test clips" if _fixed_test_set_only(record) else ""
    return f"{text}{other_clips}{', unadjusted' if _significant_before_adjusting_only(record) else ''}"


def scope(record: dict) -> str:
    """Return the scope of a significant difference: other test clips too, or this test set."""
    return ", also for other test clips" if TEST_SET in record["variance_sources"] else " on these test clips"


def _verdict(record: dict) -> str:
    if not record["verdict"]:
        return record["reason"]
    return f"{record['fixed_test_set_verdict']} {THESE_CLIPS}" if _fixed_test_set_only(record) else record["verdict"]


def _fixed_test_set_only(record: dict) -> bool:
    """Return whether a difference is significant for this test set, but not with the variance of the test set."""
    return record["verdict"] == NOT_SHOWN and record.get("fixed_test_set_verdict") in (BETTER, WORSE)


def _result(comparison: Comparison, record: dict, measure: Measure) -> str:
    """Return the clause with verdict, size and interval."""
    treatment, reference = sides(comparison)
    mean, low, high = record["mean"], record["ci_low"], record["ci_high"]
    if not record["verdict"]:
        return f"{treatment} minus {reference} is {number_format.amount(mean, measure)} ({record['reason']})"
    if _fixed_test_set_only(record):
        clause = verdict_clause(record["fixed_test_set_verdict"], treatment, reference)
        these = size_in_direction(mean, record["fixed_test_set_ci_low"], record["fixed_test_set_ci_high"], measure)
        others = size_in_direction(mean, low, high, measure).removeprefix("by ")
        adjusted = adjustment_remark(record)
        return f"{clause} {these} on these test clips, but not shown for other test clips: {others}{adjusted}"
    if record["verdict"] == NOT_SHOWN:
        size = f"{number_format.amount(mean, measure)} {number_format.interval(low, high, measure)}"
        return f"{NOT_SHOWN} between {treatment} and {reference}: {size}{adjustment_remark(record)}"
    clause = verdict_clause(record["verdict"], treatment, reference)
    return f"{clause} {size_in_direction(mean, low, high, measure)}{scope(record)}"


def _evidence(record: dict) -> str:
    """Return the number of replicates and of test clips."""
    replicates = _trials(record) if record["replicate"] == "trials" else _pretraining_seeds(record)
    clusters = f" in {int(record['clusters']):,} clusters" if not pd.isna(record["clusters"]) else ""
    return f"{replicates}, {number_format.count(int(record['test_clips']), 'test clips')}{clusters}"


def _trials(record: dict) -> str:
    n, n_reference = int(record["n"]), int(record["n_reference"])
    paired = record["design"] == "paired"
    trials = number_format.count(n, "trials") if paired else f"{n:,} and {n_reference:,} unpaired trials"
    return f"{trials} of one pre-training seed" if record["n_pretraining_seeds"] else trials


def _pretraining_seeds(record: dict) -> str:
    """Return the pre-training seeds of both sides; a side without pre-training has none, although its `n` is 1."""
    n, n_reference = int(record["n"]), int(record["n_reference"])
    if record["design"] == "paired":
        return f"{n:,} {'pair' if n == 1 else 'pairs'} of pre-training seeds"
    if min(n, n_reference) > 1:
        return f"{n:,} and {n_reference:,} pre-training seeds"
    single = " against a single one" if record["n_pretraining_seeds"] == 1 else ""
    return f"{max(n, n_reference):,} pre-training seeds{single}"


def _setting(record: dict, comparison: Comparison, comparisons: pd.DataFrame) -> str:
    """Return the data set, the other settings if the study compares within several, and the metric; twins are marked.

    A level that both sides of the comparison name is part of the setting too.
    """
    shared = _shared_settings(comparison)
    settings = [
        labels.name(shared.get(factor) or record[factor])
        for factor in SETTINGS
        if factor in shared or (record[factor] and (factor == "dataset" or comparisons[factor].nunique() > 1))
    ]
    if comparisons["metric"].nunique() > 1:
        settings.append(number_format.measure(record["metric"]).name)
    return (", ".join(settings) or "no data set") + labels.mark_of_twins(record["source"])
