"""The one loader of levels: factor and name to the file that holds the level, and config entries to levels.

A level file is a specification that imports no torch, so planning loads levels like any module.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.source import PACKAGE
from workflow_scripts.core.validation import parse
from workflow_scripts.levels.contracts import CONTRACTS, DEFAULTS

#: factor of the design -> folder that holds its levels, one file each
FOLDERS = {factor: contract.folder for factor, contract in CONTRACTS.items()}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A config's entry for a level: the name of its file, and its options.

    `label` replaces the label of the file. `trained` is false for an encoder that keeps its initial weights.
    """

    level: str
    options: dict[str, Any] = field(default_factory=dict)
    label: str | None = None
    trained: bool = True


def names(factor: str) -> list[str]:
    """Return the names of all levels of a factor, sorted."""
    return sorted(path.stem for path in (PACKAGE / FOLDERS[factor]).glob("*.py") if not path.stem.startswith("_"))


def module_name(factor: str, name: str) -> str:
    """Return the dotted module name of a level; `UserError` if there is no such level."""
    if name.startswith("_") or not (PACKAGE / FOLDERS[factor] / f"{name}.py").is_file():
        raise UserError(f"unknown {factor} {name!r}; allowed: {', '.join(names(factor))}")
    return f"{PACKAGE.name}.{FOLDERS[factor]}.{name}"


@functools.cache
def load(factor: str, name: str) -> ModuleType:
    """Import a level; `UserError` names the members of its factor's contract that it lacks or seems to misspell."""
    level, contract = importlib.import_module(module_name(factor, name)), CONTRACTS[factor]
    file = f"{contract.folder}/{name}.py"
    for constant, member in contract.misspelt(level).items():
        raise UserError(f"{file}: unknown constant {constant} (did you mean {member}?); others begin with _")
    if missing := contract.missing(level):
        raise UserError(f"{file} must have {', '.join(missing)}: see docs/extending.md")
    return level


def fact(level: ModuleType, constant: str) -> Any:
    """Return an optional constant of a level, or the default of its contract."""
    return getattr(level, constant, DEFAULTS[constant])


def entry(section: Mapping[str, Any], name: str) -> Entry:
    """Return the entry `name` of a config's section; `level` names the file where the entry's name does not."""
    options = dict(section.get(name) or {})
    return Entry(
        level=options.pop("level", name),
        label=options.pop("label", None),
        trained=options.pop("trained", True),
        options=options,
    )


def options(level: ModuleType, values: Mapping[str, object], *, where: str = "") -> Any:
    """Return the level's `Options` with the values of a config; `UserError` names a wrong option and the allowed ones.

    `where` (file, key) begins the message.
    """
    where = where or f"options of {level.__name__.rpartition('.')[2]}"
    return parse(level.Options, values, where=where)
