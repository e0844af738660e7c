"""Origins of keys, so that a message names the file to edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class ConfigOrigin:
    """The files that a config was merged from, in their order."""

    def __init__(self, contents: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
        """Take each file with its content."""
        self.contents = contents

    def at(self, *path: str) -> str:
        """Return file and key: the last file that states the key, or the most of the keys above it."""
        return _format_key(self.file_of(*path), path)

    def overrides(self, *paths: tuple[str, ...]) -> str:
        """Return file and key of each path that a file over the first one states, as the end of a message, or nothing.

        The first file ships; a mistake is more likely in one over it.
        """
        stated = [path for path in paths if any(_depth(content, path) == len(path) for _, content in self.contents[1:])]
        return f"; see {', '.join(self.at(*path) for path in stated)}" if stated else ""

    def is_shipped(self, *path: str) -> bool:
        """Return whether a file that ships, as the first one and those in its folder do, states the key last."""
        folder = self.contents[0][0].resolve().parent
        return Path(self.file_of(*path)).resolve().is_relative_to(folder)

    def file_of(self, *path: str) -> str:
        """Return the last file that states the key, or the most of the keys above it."""
        if not self.contents:
            return "config"
        depths = [_depth(content, path) for _, content in self.contents]
        last = max(range(len(depths)), key=lambda place: (depths[place], place))
        return str(self.contents[last][0])


class StudyOrigin:
    """The file of a study, and what `trim` of the config states instead."""

    def __init__(self, name: str, *, file: Path, config: ConfigOrigin, trim: Mapping[str, Any]) -> None:
        """Take the name of the study, its file, and its part of `trim`."""
        self.name, self.file, self.config, self.trim = name, file, config, trim

    @property
    def files(self) -> str:
        """The study's file, and the config that trims it."""
        return f"{self.file} (as trimmed by {self.config.file_of('trim', self.name)})" if self.trim else str(self.file)

    def at(self, *path: str) -> str:
        """Return file and key: those of the config where it trims the key, else those of the study."""
        key = self.key_in_trim(*path)
        return self.config.at("trim", self.name, *key) if key else _format_key(str(self.file), path)

    def key_in_trim(self, *path: str) -> tuple[str, ...]:
        """Return the key below `trim.<study>` that states the study's key, or nothing if the study states it."""
        match path:
            case ("grid", factor, *rest) if factor in self.trim:
                return (factor, *rest)
            case ("grids", grid, factor, *_):
                changes = self.trim.get("grids") or {}
                return path if factor in (changes.get(grid) or {}) else ()
            case (key, *_) if key in self.trim:
                return path
            case _:
                return ()


def _format_key(file: str, path: Sequence[str]) -> str:
    return ": ".join(filter(None, (file, ".".join(path))))


def _depth(content: Any, path: Sequence[str]) -> int:
    """Return how many of the keys in `path` lead to something."""
    for depth, key in enumerate(path):
        if not isinstance(content, Mapping) or key not in content:
            return depth
        content = content[key]
    return len(path)
