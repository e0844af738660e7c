"""Names of project modules, without importing the modules.

The files of levels import torch, which planning must not do. Their `Options` and the rules those keep need none of it:
so of a module only the statements run that a name needs, each when it is first asked for.
"""

from __future__ import annotations
import __future__

import ast
import functools
import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any, ClassVar  # noqa: F401 - dataclasses look here whether an annotation is this ClassVar

from workflow_scripts.core import errors, source
from workflow_scripts.levels import registry

#: factors whose levels are imported like any module
TORCH_FREE = ("dataset", "encoder", "worker", "augmentation", "figure", "head", "scenario", "weighting")
IMPORTED = (errors.__name__,)  # whoever catches an error has imported its class


class Unimported:
    """A project module whose names are its attributes."""

    def __init__(self, name: str) -> None:
        """Read the module of this dotted name; nothing in it runs yet."""
        self.__name__ = name
        self._names = _Names(name)

    def __getattr__(self, name: str) -> Any:
        """Value of a name of the module."""
        try:
            return self._names[name]
        except KeyError:
            raise AttributeError(f"{self.__name__} has no {name}") from None


@functools.cache
def module(name: str) -> Any:
    """Project module of a dotted name; files that must be as they were imported are imported."""
    return importlib.import_module(name) if name in IMPORTED else Unimported(name)


def level(factor: str, name: str) -> Any:
    """File of a level, with the names it states."""
    if factor in TORCH_FREE:
        return registry.load(factor, name)
    return module(registry.module_name(factor, name))


class _Names(dict[str, Any]):
    """Global names of a module, each made by its statement when it is first looked up."""

    def __init__(self, name: str) -> None:
        # dataclasses look into the module of a class, so it must be one that is imported
        super().__init__(__name__=__name__)
        self._file, self._package = str(source.file_of(name)), name.rpartition(".")[0]
        self._statements = {made: node for node in source.syntax_of(name).body for made in _made_by(node)}

    def __missing__(self, name: str) -> Any:
        node = self._statements[name]
        if isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), self._package)
            self[name] = _imported(origin, next(a.name for a in node.names if name == (a.asname or a.name)))
        else:
            for used in _used_at_once(node) & set(self._statements):
                self.__getitem__(used)  # the body of a class looks past this method
            code = compile(
                ast.Module(body=[node], type_ignores=[]),
                self._file,
                "exec",
                flags=__future__.annotations.compiler_flag,
                dont_inherit=True,
            )
            exec(code, self)
        return self[name]


def _imported(origin: str, name: str) -> Any:
    """What `from origin import name` gives."""
    if origin.split(".", maxsplit=1)[0] != source.PACKAGE.name:
        return getattr(importlib.import_module(origin), name)
    inner = f"{origin}.{name}"
    return module(inner) if source.file_of(inner).is_file() else getattr(module(origin), name)


def _made_by(node: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a module makes."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name.split(".")[0] for alias in names)
        case ast.If(body=body, orelse=otherwise):
            yield from (name for part in (*body, *otherwise) for name in _made_by(part))
        case ast.Try(body=body, handlers=handlers, orelse=otherwise, finalbody=last):
            handled = (part for handler in handlers for part in handler.body)
            yield from (name for part in (*body, *handled, *otherwise, *last) for name in _made_by(part))
        case ast.Assign() | ast.AnnAssign():
            yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name) and _is_target(each))


def _is_target(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _used_at_once(node: ast.AST) -> set[str]:
    """Names that a statement looks up when it runs: not those in annotations and in bodies of functions."""
    if isinstance(node, ast.Name):
        return set() if _is_target(node) else {node.id}
    parts: list[ast.AST | None] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.AnnAssign):
        parts = [node.value]
    elif isinstance(node, ast.FunctionDef):
        parts = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
    elif isinstance(node, ast.Lambda):
        parts = []
    return set().union(*(_used_at_once(part) for part in parts if part is not None))
