"""Difference of differences: where, or with what, a method gains more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field

from workflow_scripts.configuration.study import LevelName
from workflow_scripts.core.validation import StrictModel
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.statistics.contrasts import SETTINGS
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import POINTS, Pairs, estimate_values, pair_steps
from workflow_scripts.statistics.reproduction.quantity import Quantity

POINTS_TWICE = replace(POINTS, largest=2 * PERCENT)  # differences of differences


def _require_factor(name: str) -> str:
    if name not in FACTORS:
        raise ValueError(f"{name!r} is not a factor; allowed: {', '.join(FACTORS)}")
    return name


class GroupOptions(StrictModel):
    """Options of `interaction`."""

    group: Annotated[dict[Annotated[str, AfterValidator(_require_factor)], LevelName], Field(min_length=1)]
    """levels of `of` in the steps whose differences are compared with those of all other steps"""


def interaction(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean difference in the steps of a group minus that in all other steps, in points.

    The groups are paired by trial (or pre-training seed), within which they may share encoders.
    """
    levels = {factor: str(level) for factor, level in selection.options.group.items()}
    inside = [step for step, cells in enumerate(selection.of) if all(cell.matches(levels) for cell in cells)]
    outside = [step for step in range(len(selection.of)) if step not in inside]
    groups = [_pair(selection, results, steps) for steps in (inside, outside)]
    for group in groups:
        if isinstance(group, NoValue):
            return group
    first, second = (group for group in groups if isinstance(group, Pairs))
    if (first.replicate, first.names) != (second.replicate, second.names):
        return NoValue(reason="the groups were not measured with the same trials")
    values = PERCENT * ((first.of - first.over) - (second.of - second.over))
    sides = [*first.sides, *second.sides]
    return estimate_values(values, POINTS_TWICE, replicate=first.replicate, sides=sides, results=results)


def _pair(selection: Selection, results: Results, steps: Sequence[int]) -> Pairs | NoValue:
    if not steps:
        return NoValue(reason="the study has no such cell")
    of, over = (tuple(side[step] for step in steps) for side in (selection.of, selection.over))
    return pair_steps(replace(selection, of=of, over=over), results)


QUANTITIES = {
    "interaction": Quantity(
        kind="measured",
        compute=interaction,
        phrase="{metric} of {of} minus that of {over}: the difference with {group} minus that with the others, points",
        within=SETTINGS,
        compares=True,
        averages=True,
        options=GroupOptions,
    ),
}
