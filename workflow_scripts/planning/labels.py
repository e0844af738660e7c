"""Labels of levels in tables: `label` of an entry of the config, or `LABEL` of the level's file."""

from __future__ import annotations

from dataclasses import asdict

from workflow_scripts.configuration.config import LEVEL_SECTIONS, Config
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import NONE
from workflow_scripts.planning.plan import Plan

#: factors whose levels have labels, with the factor of the files of their levels
LABELLED = {
    "corpus": "dataset",
    "workers": "worker",
    **{factor: factor for factor in (*LEVEL_SECTIONS, "dataset", "scenario") if factor != "worker"},
}


def label_levels(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the label of every planned level that has one, by factor and level.

    Those of `workers` include the single workers of a set, which figures of losses name.
    """
    cells = [asdict(run) | asdict(cell) for run, cell in plan.cells]
    levels = {factor: dict.fromkeys(cell[factor] for cell in cells if cell[factor] != NONE) for factor in LABELLED}
    labels = {factor: {name: label_of(plan.config, factor, name) for name in levels[factor]} for factor in LABELLED}
    workers = sorted({worker for name in levels["workers"] for worker in plan.config.worker_sets[name]})
    labels["workers"] = {name: plan.config.level("worker", name).label for name in workers} | labels["workers"]
    return {factor: {name: label for name, label in named.items() if label} for factor, named in labels.items()}


def label_of(config: Config, factor: str, name: str) -> str:
    """Return the label of a level; empty if it has none, as a set of several workers."""
    if factor == "scenario":
        return str(registry.load("scenario", name).LABEL)
    if factor == "corpus" and name not in config.datasets:
        return config.checkpoints[name].label or "" if name in config.checkpoints else ""
    if factor == "workers":
        worker, *others = config.worker_sets[name]
        return "" if others else config.level("worker", worker).label
    return config.level(LABELLED[factor], name).label
