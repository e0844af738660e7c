"""Source files of the project's modules, and their syntax trees."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

PACKAGE = Path(__file__).parent.parent


@functools.cache
def syntax_of(module: str) -> ast.Module:
    """Parse the source of a project module, by its dotted name."""
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def file_of(module: str) -> Path:
    """Return the file of a project module, by its dotted name; it may not exist."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
