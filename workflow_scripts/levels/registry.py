"""The one loader: factor and name to the file that holds the level.

Planning asks for names, files and facts, which are read from the source text; only `load` imports, so planning never
imports torch.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.source import PACKAGE, syntax_of
from workflow_scripts.core.validation import parse

#: factor of the design -> folder that holds its levels, one file each
FOLDERS = {
    "dataset": "datasets",
    "twin": "twins",
    "encoder": "encoders",
    "worker": "workers",
    "weighting": "weightings",
    "augmentation": "augmentations",
    "head": "heads",
    "scenario": "scenarios",
    "figure": "figures",
}


def names(factor: str) -> list[str]:
    """Names of all levels of a factor, sorted."""
    return sorted(path.stem for path in (PACKAGE / FOLDERS[factor]).glob("*.py") if not path.stem.startswith("_"))


def module_name(factor: str, name: str) -> str:
    """Dotted module name of a level; `UserError` if there is no such level."""
    if name not in names(factor):
        raise UserError(f"unknown {factor} {name!r}; allowed: {', '.join(names(factor))}")
    return f"{PACKAGE.name}.{FOLDERS[factor]}.{name}"


def load(factor: str, name: str) -> ModuleType:
    """Import a level."""
    return importlib.import_module(module_name(factor, name))


def syntax(factor: str, name: str) -> ast.Module:
    """Syntax tree of a level's file."""
    return syntax_of(module_name(factor, name))


def fact(factor: str, name: str, constant: str) -> object:
    """Value of a module-level literal (such as `PRECOMPUTED = True`) of a level, read without importing it.

    Raises `UserError` when the level does not state it.
    """
    for node in syntax(factor, name).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == constant for t in node.targets):
            return ast.literal_eval(node.value)
    raise UserError(f"{FOLDERS[factor]}/{name}.py must state {constant} = ... as a literal at module level")


def declared(factor: str, name: str, constant: str) -> str:
    """Dump of the expression a level assigns to a module-level name, literal or not; empty if it assigns none."""
    for node in syntax(factor, name).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == constant for target in targets):
                return ast.dump(node.value)
    return ""


def entry(section: Mapping[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """File and options of a config's entry for a level; `level` names the file where the entry's name does not."""
    options = dict(section.get(name) or {})
    return str(options.pop("level", name)), options


def options(level: ModuleType, given: Mapping[str, object]) -> Any:
    """The level's `Options` with the values of a config; `UserError` names a wrong option and the allowed ones."""
    if issubclass(level.Options, BaseModel):
        return parse(level.Options, given, where=f"options of {level.__name__.rpartition('.')[2]}")
    fields = dataclasses.fields(level.Options)
    allowed = ", ".join(field.name for field in fields) or "none"
    where = f"options of {level.__name__.rpartition('.')[2]}"
    unknown = sorted(set(given) - {field.name for field in fields})
    if unknown:
        raise UserError(f"{where}: unknown {', '.join(unknown)}; allowed: {allowed}")
    try:
        return level.Options(**given)
    except TypeError as error:
        raise UserError(f"{where}: {error}; allowed: {allowed}") from error
