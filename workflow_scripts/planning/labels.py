"""Labels of levels in tables: `label` of an entry of the config, or `LABEL` of the level's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import NONE
from workflow_scripts.levels.registry import Entry
from workflow_scripts.planning.plan import Plan

#: factors whose levels have labels, with the section of the config that lists them and the factor of their files
LABELLED = {
    "corpus": ("datasets", "dataset"),
    "encoder": ("encoders", "encoder"),
    "workers": ("workers", "worker"),
    "weighting": ("weightings", "weighting"),
    "augmentation": ("augmentations", "augmentation"),
    "dataset": ("datasets", "dataset"),
    "head": ("heads", "head"),
    "scenario": ("scenarios", "scenario"),
}


def planned_labels(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the label of every planned level that has one, by factor and level.

    Those of `workers` include the single workers of a set, which figures of losses name.
    """
    cells = [asdict(run) | asdict(cell) for run, cell in plan.cells]
    labels = {}
    for factor in LABELLED:
        levels = dict.fromkeys(cell[factor] for cell in cells if cell[factor] != NONE)
        labels[factor] = {level: label for level in levels if (label := label_of(plan.config, factor, level))}
    return labels | {"workers": _labels_of_members(plan, cells) | labels["workers"]}


def _labels_of_members(plan: Plan, cells: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the labels of the workers in the planned sets."""
    sets = {cell["workers"] for cell in cells} - {NONE}
    workers = sorted({worker for name in sets for worker in plan.config["worker_sets"][name]})
    entries = {worker: registry.entry(plan.config["workers"], worker) for worker in workers}
    labels = {worker: _label_of_entry(entry, "worker", worker) for worker, entry in entries.items() if entry}
    return {worker: label for worker, label in labels.items() if label}


def label_of(config: Mapping[str, Any], factor: str, level: str) -> str:
    """Return the label of a level; empty if it has none.

    `LABEL` of a file identifies only the entry that has the file's name: others have other options.
    """
    entry = _entry(config, factor, level)
    if entry is None:
        return ""
    _, of_file = LABELLED[factor]
    name = level if factor != "workers" else config["worker_sets"][level][0]
    return _label_of_entry(entry, of_file, name)


def _label_of_entry(entry: Entry, of_file: str, name: str) -> str:
    """Return the label of the entry `name`, or of its file if that has the same name."""
    return entry.label or (registry.load(of_file, entry.level).LABEL if entry.level == name else "")


def _entry(config: Mapping[str, Any], factor: str, level: str) -> Entry | None:
    """Return the entry of a level; None for a set of several workers and for a checkpoint, which have no file."""
    section, _ = LABELLED[factor]
    if factor == "workers":
        workers = config["worker_sets"][level]
        return registry.entry(config[section], workers[0]) if len(workers) == 1 else None
    if section == "datasets":
        entry = config[section].get(level)
        return entry and Entry(level=entry["loader"], label=entry.get("label"))
    return registry.entry(config.get(section, {}), level)
