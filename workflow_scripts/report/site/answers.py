"""Answers of the studies: the comparisons of each as sentences, the strongest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import number_format
from workflow_scripts.report.comparison_text import (
    DIFFERENT,
    FIRMNESS,
    NOT_COMPARABLE,
    THESE_CLIPS,
    PrintedComparison,
    select_strongest,
)
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.secondary_tables import across_sentence
from workflow_scripts.report.site import studies
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.study_table import Table
from workflow_scripts.statistics.tables.schema import BETTER, MEASURED, MISSING, NOT_SHOWN, WORSE

#: classes of verdicts with the mark that precedes them
MARKS = {
    BETTER: "▲",
    WORSE: "▼",
    f"{BETTER} {THESE_CLIPS}": "△",
    f"{WORSE} {THESE_CLIPS}": "▽",
    NOT_SHOWN: "≈",
    "": "?",
    NOT_COMPARABLE: "✕",
    MISSING: "✕",
}
UNTESTED = "not tested"
SENTENCES = 12  # of all studies together, which with their headings fill about one screen


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One comparison: its verdict with a mark, its sentence, and the difference in standard deviations."""

    verdict: str
    mark: str
    sentence: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to the question of one study: its strongest findings of `n_comparisons`, or why there is none."""

    study: Study
    path: str
    part: str = ""  # what of the study was run; empty if all
    findings: tuple[Finding, ...] = ()
    n_comparisons: int = 0
    verdict_counts: str = ""
    failure: str = ""


def answer_by_system(inputs: ReportInputs) -> Mapping[str, list[Answer]]:
    """Return the answers of the studies that compare something, by the system they belong to."""
    compared = [study for study in inputs.manifest.studies if study.comparisons]
    limit = max(1, SENTENCES // max(1, len(compared)))
    across = inputs.statistics.tables["across"]
    groups: dict[str, list[Answer]] = {}
    for study in compared:
        of_study = across[(across["study"] == study.name) & (across["status"] == MEASURED)]
        answer = _answer(study, inputs.tables[study.name], of_study, limit=limit)
        answer = replace(answer, part=studies.describe_part(study, inputs))
        groups.setdefault(studies.group(study), []).append(answer)
    return groups


def _answer(study: Study, table: Table | Failure, across: pd.DataFrame, *, limit: int) -> Answer:
    if isinstance(table, Failure):
        return Answer(study=study, path=studies.path(study), failure=table.reason)
    means = _find_across(study, across)
    open_questions = [
        comparison
        for comparison in table.comparisons
        if comparison.outcome in DIFFERENT or comparison.comparison not in means
    ]
    singles = select_strongest(open_questions, max(0, limit - min(1, len(means))))
    n_means = max(1, limit - len(singles))
    findings = [*list(means.values())[:n_means], *map(_finding, singles)]
    return Answer(
        study=study,
        path=studies.path(study),
        findings=tuple(findings[:limit]),
        n_comparisons=len(table.comparisons),
        verdict_counts=table.verdict_counts,
    )


def _find_across(study: Study, across: pd.DataFrame) -> dict[str, Finding]:
    """Return the strongest mean over several data sets of each pair of methods, by its name, the strongest first."""
    records = across.to_dict("records")
    findings: dict[str, Finding] = {}
    for record in sorted(records, key=lambda record: (FIRMNESS[record["verdict"]], -abs(record["mean"]))):
        if record["comparison"] not in findings:
            in_metric = across[across["metric"] == record["metric"]]
            sentence = across_sentence(study, record, in_metric, number_format.measure(record["metric"]))
            verdict = record["verdict"]
            findings[record["comparison"]] = Finding(
                verdict=verdict or UNTESTED, mark=MARKS[verdict], sentence=sentence, effect=""
            )
    return findings


def _finding(comparison: PrintedComparison) -> Finding:
    verdict = comparison.outcome
    return Finding(
        verdict=verdict or UNTESTED,
        mark=MARKS[verdict],
        sentence=comparison.sentence,
        effect=f"effect {comparison.effect} {number_format.EFFECT_UNIT}" if comparison.effect else "",
    )
