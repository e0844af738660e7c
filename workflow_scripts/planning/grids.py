"""Expansion of the grids of studies to runs and cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

from workflow_scripts.configuration.study import Grid, StudyConfig
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.runs import CellKey, Run

FLOOR_SCENARIO = "frozen"  # floors are never trained


def expand(study: StudyConfig, checkpoints: Mapping[str, str]) -> Iterator[tuple[Run, CellKey]]:
    """Yield every run and cell of a study's grids, then those of its imported checkpoints and of its floors.

    `checkpoints` maps the name of each checkpoint to its encoder. Pairs may repeat.
    """
    for grid in study.all_grids:
        yield from _grid_cells(grid)
    for grid in study.all_grids:
        pretrained = [name for name in grid.scenario if _starts_pretrained(name)]
        for name, scenario, cell in itertools.product(study.checkpoints, pretrained, _downstream(grid)):
            yield Run.of_checkpoint(name, encoder=checkpoints[name]), replace(cell, scenario=scenario)
        for floor, cell in itertools.product(study.floors, _downstream(grid)):
            yield Run.untrained(floor), cell


def _grid_cells(grid: Grid) -> Iterator[tuple[Run, CellKey]]:
    """Yield the runs and cells of one grid; scenarios without pre-training take the untrained encoder."""
    for levels in itertools.product(*(grid.levels(factor) for factor in PRETRAINING)):
        pretrained = Run(**dict(zip(PRETRAINING, levels, strict=True)))  # type: ignore[arg-type]  # checked by Grid
        for scenario, cell in itertools.product(grid.scenario, _downstream(grid)):
            run = pretrained if _starts_pretrained(scenario) else Run.untrained(pretrained.encoder)
            yield run, replace(cell, scenario=scenario)


def _starts_pretrained(scenario: str) -> bool:
    return bool(registry.load("scenario", scenario).PRETRAINED)


def _downstream(grid: Grid) -> list[CellKey]:
    """Return the cells of a grid, in the scenario of floors."""
    return [
        CellKey(dataset=dataset, head=head, scenario=FLOOR_SCENARIO, fraction=fraction, protocol=protocol)
        for dataset, head, fraction, protocol in itertools.product(
            grid.dataset, grid.head, grid.fraction, grid.protocol
        )
    ]
