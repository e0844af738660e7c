"""What was found: the comparisons of each study as sentences, the strongest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import number_format
from workflow_scripts.report.comparison_text import NOT_COMPARABLE, THESE_CLIPS, PrintedComparison
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.site import studies
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.study_table import Table
from workflow_scripts.statistics.tables.schema import BETTER, MISSING, NOT_SHOWN, WORSE

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
    findings: tuple[Finding, ...] = ()
    n_comparisons: int = 0
    verdict_counts: str = ""
    failure: str = ""


def answer_by_system(inputs: ReportInputs) -> Mapping[str, list[Answer]]:
    """Return the answers of the studies that compare something, by the system they belong to."""
    compared = [study for study in inputs.manifest.studies if study.comparisons]
    limit = max(1, SENTENCES // max(1, len(compared)))
    groups: dict[str, list[Answer]] = {}
    for study in compared:
        answer = _answer(study, inputs.tables[study.name], limit=limit)
        groups.setdefault(studies.group(study), []).append(answer)
    return groups


def _answer(study: Study, table: Table | Failure, *, limit: int) -> Answer:
    if isinstance(table, Failure):
        return Answer(study=study, path=studies.path(study), failure=table.reason)
    ordered = sorted(table.comparisons, key=lambda comparison: comparison.strength)
    return Answer(
        study=study,
        path=studies.path(study),
        findings=tuple(_finding(comparison) for comparison in ordered[:limit]),
        n_comparisons=len(ordered),
        verdict_counts=table.verdict_counts,
    )


def _finding(comparison: PrintedComparison) -> Finding:
    verdict = comparison.outcome
    return Finding(
        verdict=verdict or UNTESTED,
        mark=MARKS[verdict],
        sentence=comparison.sentence,
        effect=f"effect {comparison.effect} {number_format.EFFECT_UNIT}" if comparison.effect else "",
    )
