"""What a study asks: the entries of its table and its comparisons, each with the cells that answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Comparison, Evaluation, Study
from workflow_scripts.statistics.estimation import Difference, compare_methods
from workflow_scripts.statistics.samples import NotComparable, TrialSample, TrialSamples, one_method, why_not_comparable
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

#: what a comparison is made within, unless the comparison itself names it
SETTINGS = ("dataset", "head", "fraction")
METHOD_FACTORS = tuple(factor for factor in FACTORS if factor != "pretrain_seed")


@dataclass(frozen=True, kw_only=True)
class TableEntry:
    """One number of a study's table: a method on one data set, with the cells of its checkpoints.

    `study` is read in the entry's metric. `row` and `column` are its levels of the study's rows and columns; `reason`
    says why some or all cells are missing. Checkpoints that were not measured alike have no mean, so there are none in
    `cells`.
    """

    study: Study
    row: tuple[str, ...]
    column: tuple[str, ...]
    levels: Mapping[str, str]
    floor: bool
    samples: tuple[TrialSample, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One comparison in one setting and one metric, in which `study` is read.

    Without `difference` it was not answered, for the given reason.
    """

    study: Study
    comparison: Comparison
    setting: Mapping[str, str]  # "" for what the comparison itself names
    treatment: tuple[TrialSample, ...]
    reference: tuple[TrialSample, ...]
    difference: Difference | NotComparable | None
    reason: str


def entries(study: Study, evaluations: Sequence[Evaluation], samples: TrialSamples) -> list[TableEntry]:
    """Entries of a study's table, column by column; `UserError` when rows and columns do not tell cells apart."""
    listed = []
    for column, in_column in grouped(evaluations, study.columns).items():
        for row, members in grouped(in_column, study.rows).items():
            differing = one_method(members)
            if differing:
                raise UserError(
                    f"study {study.name}: rows ({', '.join(study.rows)}) and columns ({', '.join(study.columns)}) "
                    f"do not tell apart cells that differ in "
                    f"{', '.join(differing)}; name these factors in rows or columns"
                )
            for read in study.per_metric(members[0].factors["dataset"]):
                listed.append(_entry(read, row, column, members, samples))
    return listed


def _entry(
    study: Study, row: tuple[str, ...], column: tuple[str, ...], members: Sequence[Evaluation], samples: TrialSamples
) -> TableEntry:
    reasons = [samples.reason_missing(evaluation, study.metric) for evaluation in members]
    found = [
        sample
        for evaluation, reason in zip(members, reasons, strict=True)
        if not reason and (sample := samples.get(evaluation, study.metric)) is not None
    ]
    objected = why_not_comparable(found)
    return TableEntry(
        study=study,
        row=row,
        column=column,
        levels={factor: members[0].factors[factor] for factor in METHOD_FACTORS},
        floor=members[0].factors["encoder"] in study.floors,
        samples=() if objected else tuple(found),
        reason=f"refused: {objected}" if objected else _joined(reasons, of=len(members)),
    )


def contrasts(
    study: Study, evaluations: Sequence[Evaluation], samples: TrialSamples, replicates: BootstrapReplicates
) -> list[Contrast]:
    """Every comparison of a study in every setting, answered as far as there are trials.

    `UserError` when a comparison does not tell cells apart.
    """
    return [
        contrast
        for comparison in study.comparisons
        for contrast in _asked(study, comparison, evaluations, samples, replicates)
    ]


def _asked(
    study: Study,
    comparison: Comparison,
    evaluations: Sequence[Evaluation],
    samples: TrialSamples,
    replicates: BootstrapReplicates,
) -> list[Contrast]:
    sides = [
        [each for each in evaluations if each.matches(levels)]
        for levels in (comparison.treatment, comparison.reference)
    ]
    settings = [name for name in SETTINGS if name not in comparison.treatment and name not in comparison.reference]
    lefts, rights = (grouped(side, settings) for side in sides)
    asked = []
    for key in dict.fromkeys([*lefts, *rights]) or [("",) * len(settings)]:
        left, right = lefts.get(key, []), rights.get(key, [])
        datasets = [each.factors["dataset"] for each in (*left, *right)]
        for read in study.per_metric(datasets[0] if datasets else ""):
            measured = _samples(read, comparison, left, right, samples)
            treatment, reference = measured if not isinstance(measured, str) else ((), ())
            asked.append(
                Contrast(
                    study=read,
                    comparison=comparison,
                    setting=dict.fromkeys(SETTINGS, "") | dict(zip(settings, key, strict=True)),
                    treatment=treatment,
                    reference=reference,
                    difference=compare_methods(treatment, reference, replicates) if treatment and reference else None,
                    reason=measured if isinstance(measured, str) else "",
                )
            )
    return asked


def _samples(
    study: Study, comparison: Comparison, left: Sequence[Evaluation], right: Sequence[Evaluation], samples: TrialSamples
) -> tuple[tuple[TrialSample, ...], tuple[TrialSample, ...]] | str:
    """Cells of either side, or why they are not all there."""
    for side, levels in ((left, comparison.treatment), (right, comparison.reference)):
        if not side:
            return f"the study has no cell with {named(levels)}"
    if {each.key for each in left} & {each.key for each in right}:
        return "both sides name the same cells"
    sides: list[tuple[TrialSample, ...]] = []
    for side in (left, right):
        differing = one_method(side)
        if differing:
            raise UserError(
                f"study {study.name}: comparison {comparison.name!r} does not tell apart cells that differ in "
                f"{', '.join(differing)}; name these factors in it"
            )
        reasons = [samples.reason_missing(each, study.metric) for each in side]
        if any(reasons):
            return _joined(reasons, of=len(side))
        sides.append(tuple(sample for each in side if (sample := samples.get(each, study.metric)) is not None))
    return sides[0], sides[1]


def grouped(evaluations: Iterable[Evaluation], factors: Sequence[str]) -> dict[tuple[str, ...], list[Evaluation]]:
    """Evaluations by their levels of `factors`, in the order of the first of each."""
    groups: dict[tuple[str, ...], list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(tuple(evaluation.factors[factor] for factor in factors), []).append(evaluation)
    return groups


def named(levels: Mapping[str, str]) -> str:
    """Levels as text, such as "encoder=pase scenario=frozen"."""
    return " ".join(f"{factor}={level}" for factor, level in levels.items())


def _joined(reasons: Sequence[str], *, of: int) -> str:
    """The reasons why cells are missing, with their number where some are there."""
    given = [reason for reason in reasons if reason]
    text = "; ".join(dict.fromkeys(given))
    return text if not given or of == 1 else f"{text} ({len(given)} of {of} checkpoints)"
