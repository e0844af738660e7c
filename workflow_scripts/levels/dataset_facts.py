"""Facts of data sets: constants of a level, or functions of its options where they depend on these."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

from workflow_scripts.levels import registry

SPLITS: tuple[Literal["train", "valid", "test"], ...] = ("train", "valid", "test")


def remotes(level: ModuleType, options: Any) -> Mapping[str, Any]:
    """Return the files of a data set that can be downloaded, by name: `REMOTES` of its level, or `remotes(options)`.

    Empty where nothing can be downloaded.
    """
    files: Mapping[str, Any] = level.remotes(options) if hasattr(level, "remotes") else level.REMOTES
    return files


def size(level: ModuleType, options: Any) -> Mapping[str, float] | None:
    """Return clips of the published set and their length in seconds: `SIZE` of its level, or `size(options)`.

    None where nobody knows before the data set is prepared.
    """
    known: Mapping[str, float] | None = level.size(options) if hasattr(level, "size") else level.SIZE
    return known


def file_options(level: ModuleType, options: Any) -> dict[str, Any]:
    """Return the options on which a data set's files depend: those that its level names in `FILE_OPTIONS`, if any.

    Acquiring a data set, or rendering its twin, depends on no others.
    """
    return {name: getattr(options, name) for name in registry.fact(level, "FILE_OPTIONS")}
