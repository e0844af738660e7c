"""Map each table entry and each declared comparison of a study to the samples of its cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Comparison, PlannedCell, Study, Training
from workflow_scripts.statistics.estimation import Difference, compare_methods
from workflow_scripts.statistics.samples import (
    NotComparable,
    TrialSample,
    TrialSamples,
    differing_factors,
    incomparability_reason,
)
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

#: factors within whose levels methods are compared, unless the comparison itself names them
SETTINGS = ("dataset", "head", "fraction", "protocol")
METHOD_FACTORS = tuple(factor for factor in FACTORS if factor != "pretrain_seed")


@dataclass(frozen=True, kw_only=True)
class TableEntry:
    """One number of a study's table: a method on one data set, with the samples of its pre-training seeds.

    `study` is read in the entry's metric. `row` and `column` are its levels of the study's rows and columns; `reason`
    states why some or all cells are missing. Seeds that were not measured alike have no mean, so `samples` is empty.
    """

    study: Study
    row: tuple[str, ...]
    column: tuple[str, ...]
    levels: Mapping[str, str]
    floor: bool
    samples: tuple[TrialSample, ...]
    reason: str
    training: Training | None = None


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One declared comparison in one setting and one metric, in which `study` is read.

    Without `difference` it could not be computed, for the given reason.
    """

    study: Study
    comparison: Comparison
    setting: Mapping[str, str]  # "" for factors that the comparison itself names
    treatment: tuple[TrialSample, ...]
    reference: tuple[TrialSample, ...]
    difference: Difference | NotComparable | None
    reason: str


def table_entries(study: Study, cells: Sequence[PlannedCell], samples: TrialSamples) -> list[TableEntry]:
    """Return the entries of a study's table, column by column; `UserError` when rows and columns mix methods."""
    entries = []
    for column, in_column in group_by_levels(cells, study.columns).items():
        for row, members in group_by_levels(in_column, study.rows).items():
            differing = differing_factors(members)
            if differing:
                raise UserError(
                    f"study {study.name}: rows ({', '.join(study.rows)}) and columns ({', '.join(study.columns)}) "
                    f"do not identify cells uniquely: they differ in "
                    f"{', '.join(differing)}; name these factors in rows or columns"
                )
            for of_metric in study.per_metric(members[0].factors["dataset"]):
                entries.append(_table_entry(of_metric, row, column, members, samples))
    return entries


def _table_entry(
    study: Study,
    row: tuple[str, ...],
    column: tuple[str, ...],
    members: Sequence[PlannedCell],
    samples: TrialSamples,
) -> TableEntry:
    reasons = [samples.reason_missing(cell, study.metric) for cell in members]
    measured = [
        sample
        for cell, reason in zip(members, reasons, strict=True)
        if not reason and (sample := samples.get(cell, study.metric)) is not None
    ]
    refusal = incomparability_reason(measured)
    return TableEntry(
        study=study,
        row=row,
        column=column,
        levels={factor: members[0].factors[factor] for factor in METHOD_FACTORS},
        floor=members[0].factors["encoder"] in study.floors,
        samples=() if refusal else tuple(measured),
        training=members[0].training,
        reason=f"not comparable: {refusal}" if refusal else _join_reasons(reasons, of=len(members)),
    )


def contrasts(
    study: Study, cells: Sequence[PlannedCell], samples: TrialSamples, replicates: BootstrapReplicates
) -> list[Contrast]:
    """Compute every comparison of a study in every setting, as far as there are trials.

    `UserError` when one side of a comparison mixes methods.
    """
    return [
        contrast
        for comparison in study.comparisons
        for contrast in _contrasts_of(study, comparison, cells, samples, replicates)
    ]


def _contrasts_of(
    study: Study,
    comparison: Comparison,
    cells: Sequence[PlannedCell],
    samples: TrialSamples,
    replicates: BootstrapReplicates,
) -> list[Contrast]:
    sides = [
        [cell for cell in cells if cell.matches(levels)] for levels in (comparison.treatment, comparison.reference)
    ]
    settings = [name for name in SETTINGS if name not in comparison.treatment and name not in comparison.reference]
    lefts, rights = (group_by_levels(side, settings) for side in sides)
    of_settings = []
    for key in dict.fromkeys([*lefts, *rights]) or [("",) * len(settings)]:
        left, right = lefts.get(key, []), rights.get(key, [])
        datasets = [cell.factors["dataset"] for cell in (*left, *right)]
        setting = dict.fromkeys(SETTINGS, "") | dict(zip(settings, key, strict=True))
        for of_metric in study.per_metric(datasets[0] if datasets else ""):
            sides_measured = _measured_sides(of_metric, comparison, left, right, samples)
            of_settings.append(_contrast(of_metric, comparison, setting, sides_measured, replicates))
    return of_settings


def _contrast(
    study: Study,
    comparison: Comparison,
    setting: Mapping[str, str],
    sides: tuple[tuple[TrialSample, ...], tuple[TrialSample, ...]] | NotComparable,
    replicates: BootstrapReplicates,
) -> Contrast:
    if isinstance(sides, NotComparable):
        return Contrast(
            study=study,
            comparison=comparison,
            setting=setting,
            treatment=(),
            reference=(),
            difference=None,
            reason=sides.reason,
        )
    treatment, reference = sides
    return Contrast(
        study=study,
        comparison=comparison,
        setting=setting,
        treatment=treatment,
        reference=reference,
        difference=compare_methods(treatment, reference, replicates),
        reason="",
    )


def _measured_sides(
    study: Study,
    comparison: Comparison,
    left: Sequence[PlannedCell],
    right: Sequence[PlannedCell],
    samples: TrialSamples,
) -> tuple[tuple[TrialSample, ...], tuple[TrialSample, ...]] | NotComparable:
    """Return the samples of either side, or why they are not all there."""
    for side, levels in ((left, comparison.treatment), (right, comparison.reference)):
        if not side:
            return NotComparable(reason=f"the study has no cell with {format_levels(levels)}")
    if {cell.key for cell in left} & {cell.key for cell in right}:
        return NotComparable(reason="both sides name the same cells")
    measured: list[tuple[TrialSample, ...]] = []
    for side in (left, right):
        differing = differing_factors(side)
        if differing:
            raise UserError(
                f"study {study.name}: comparison {comparison.name!r} does not identify cells uniquely: they differ in "
                f"{', '.join(differing)}; name these factors in it"
            )
        reasons = [samples.reason_missing(cell, study.metric) for cell in side]
        if any(reasons):
            return NotComparable(reason=_join_reasons(reasons, of=len(side)))
        present = (samples.get(cell, study.metric) for cell in side)
        measured.append(tuple(sample for sample in present if sample is not None))
    return measured[0], measured[1]


def group_by_levels(cells: Iterable[PlannedCell], factors: Sequence[str]) -> dict[tuple[str, ...], list[PlannedCell]]:
    """Group cells by their levels of `factors`, in the order of the first of each."""
    groups: dict[tuple[str, ...], list[PlannedCell]] = {}
    for cell in cells:
        groups.setdefault(tuple(cell.factors[factor] for factor in factors), []).append(cell)
    return groups


def format_levels(levels: Mapping[str, str]) -> str:
    """Return levels as text, such as "encoder=pase scenario=frozen"."""
    return " ".join(f"{factor}={level}" for factor, level in levels.items())


def _join_reasons(reasons: Sequence[str], *, of: int) -> str:
    """Join the reasons why cells are missing, with their number where some are there."""
    missing = [reason for reason in reasons if reason]
    text = "; ".join(dict.fromkeys(missing))
    return text if not missing or of == 1 else f"{text} ({len(missing)} of {of} pre-training seeds)"
