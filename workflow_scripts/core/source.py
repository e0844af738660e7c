"""Source files of the project's modules."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def file_of(module: str) -> Path:
    """Return the file of a project module, by its dotted name; it may not exist."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
