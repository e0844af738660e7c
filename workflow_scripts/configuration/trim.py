"""Trimming: what a config states instead of a study's own levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflow_scripts.configuration.study import ComparisonConfig, StudyConfig
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import require_known
from workflow_scripts.levels.factors import FACTORS

#: what a config may replace in a study besides the levels of its grid
REPLACEABLE = (
    "floors",
    "checkpoints",
    "rows",
    "columns",
    "metrics",
    "comparisons",
    "published",
    "figure",
    "listening",
    "quarantine",
)
#: replaced by `statistics.reproduction.statements`, which reads it, since it is no part of a study's file
PUBLISHED = "published"


def replace_levels(study: Mapping[str, Any], trim: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return a study, as plain data, with what `trim` states instead of its own.

    `where` (file, key) begins messages of `UserError`.
    """
    result: dict[str, Any] = {**study, "grid": dict(study["grid"])}
    for key, value in trim.items():
        require_known(key, [*FACTORS, "grids", *REPLACEABLE], kind="key", where=where)
        if key in FACTORS:
            result["grid"][key] = value
        elif key == "grids":
            result["grids"] = _trim_grids(study.get("grids", {}), value, where=f"{where}.grids")
        elif key != PUBLISHED:
            result[key] = value
    return result


def adapt_to_levels(study: StudyConfig, trim: Mapping[str, Any]) -> StudyConfig:
    """Return a trimmed study without comparisons of levels that it lost, and with a row for imported checkpoints.

    A note of the study lists these comparisons.
    """
    changes: dict[str, Any] = {}
    if "comparisons" not in trim:
        by_lost_level: dict[str, list[ComparisonConfig]] = {"": []}
        for comparison in study.comparisons:
            by_lost_level.setdefault(_lost_level(comparison, study), []).append(comparison)
        changes["comparisons"] = tuple(by_lost_level.pop(""))
        notes = (
            f"Not compared: {'; '.join(comparison.name for comparison in lost)} ({level} is left out by trim)."
            for level, lost in by_lost_level.items()
        )
        changes["notes"] = " ".join([study.notes.strip(), *notes]).strip()
    if study.checkpoints and "corpus" not in (*study.rows, *study.columns):
        changes["rows"] = ("corpus", *study.rows)  # separates imported checkpoints from the others
    return study.model_copy(update=changes)


def _trim_grids(grids: Mapping[str, Any], trim: object, *, where: str) -> dict[str, Any]:
    """Return named grids with the levels that `trim` states instead of theirs; null leaves a grid out."""
    changes = _keys_of(trim, where=where)
    for name, change in changes.items():
        require_known(name, grids, kind="grid", where=where)
        changes[name] = None if change is None else _keys_of(change, where=f"{where}.{name}")
    return {name: grid | changes.get(name, {}) for name, grid in grids.items() if changes.get(name, {}) is not None}


def _keys_of(value: object, *, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: {value!r} has the wrong type; allowed: keys and values")
    return dict(value)


def _lost_level(comparison: ComparisonConfig, study: StudyConfig) -> str:
    """Return the first level named by a comparison that a study does not have, with its factor; empty if none."""
    sides = (*comparison.better.items(), *comparison.than.items())
    return next(
        (f"{factor} {level}" for factor, level in sides if factor in FACTORS and level not in study.selectable(factor)),
        "",
    )
