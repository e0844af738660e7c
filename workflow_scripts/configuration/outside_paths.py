"""Paths outside the working folder that a config names: Apptainer shows jobs only those that a variable lists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import expand_home

VARIABLE = "APPTAINER_BIND"  # comma-separated paths that an image shows, beside the working folder


def bind(values: object) -> None:
    """Add the paths among `values`, and the folder of temporary files, to those that an image shows.

    The variable may come from the machine that submitted the job; its paths that are not here are left out, as
    Apptainer refuses them. Raises `UserError` for a path that the variable cannot hold.
    """
    inherited = [text for text in os.environ.get(VARIABLE, "").split(",") if Path(text.partition(":")[0]).exists()]
    named = outside_paths([values, os.environ.get("TMPDIR", "")], folder=Path.cwd())  # /tmp is shown anyway
    if broken := [path for path in named if {",", ":"} & set(str(path))]:
        raise UserError(
            f"{broken[0]}: Apptainer shows jobs no path with a comma or a colon: rename it, or run without the image"
        )
    os.environ[VARIABLE] = ",".join(dict.fromkeys([*filter(None, inherited), *map(str, named)]))


def outside_paths(values: object, *, folder: Path) -> list[Path]:
    """Return the paths among all texts in `values`, and those that links lead to, that exist outside `folder`, sorted.

    Relative ones count from the working folder.
    """
    existing = [path for path in map(expand_home, _texts(values)) if os.path.exists(path)]  # noqa: PTH110 - any text
    named = [Path(os.path.normpath(path.absolute())) for path in existing]
    paths = {*named, *(path.resolve() for path in named)}
    return sorted(path for path in paths if not path.is_relative_to(folder) and path != Path(path.anchor))


def _texts(values: object) -> Iterator[str]:
    """Yield all texts in nested lists and mappings."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        yield from _texts(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _texts(value)
