"""Fonts of a figure: the report's own, and fonts of this machine for the characters that it lacks."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

DEFAULT = "DejaVu Sans"  # comes with matplotlib, so figures are the same everywhere
SIZE, DOTS_PER_INCH = 9, 72  # of a trial load: a font of bitmaps alone, as of coloured emoji, fails


@functools.lru_cache(maxsize=256)  # the texts of a report are few
def families(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the font families that draw these characters, first the default, and the characters that none has."""
    missing = {character for character in characters if not character.isspace()} - _characters(_default_path())
    chosen = [DEFAULT]
    for path in _system_fonts() if missing else ():
        covered = missing & _characters(path)
        if covered and (family := _register(path, min(covered))):
            chosen.append(family)
            missing -= covered
    return tuple(chosen), frozenset(missing)


def _default_path() -> str:
    from matplotlib import font_manager  # noqa: PLC0415  (planning needs no matplotlib)

    return str(font_manager.findfont(DEFAULT))


def _system_fonts() -> Iterable[str]:
    """Return the font files of this machine; matplotlib's own list may be older than a font."""
    from matplotlib import font_manager  # noqa: PLC0415  (planning needs no matplotlib)

    # regular faces first: "NotoSansCJK-Regular" before "-Bold", whatever the folder
    return sorted(font_manager.findSystemFonts(), key=lambda path: ("Regular" not in path, path))


@functools.cache
def _characters(path: str) -> frozenset[str]:
    """Return the characters of a font file; none of a file that cannot be read."""
    font = _open(path)
    return frozenset(map(chr, font.get_charmap())) if font is not None else frozenset()


def _open(path: str) -> Any:
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415  (planning needs no matplotlib)

    try:
        return FT2Font(path)
    except (OSError, RuntimeError):
        return None


def _register(path: str, character: str) -> str:
    """Add a font file to those of matplotlib and return its family; empty if it cannot draw `character`."""
    from matplotlib import font_manager  # noqa: PLC0415  (planning needs no matplotlib)

    font = _open(path)
    try:
        font.set_size(SIZE, DOTS_PER_INCH)
        font.load_char(ord(character))
        font.get_path()
        font_manager.fontManager.addfont(path)
    except (OSError, RuntimeError, ValueError):
        return ""
    return str(font_manager.ttfFontProperty(font).name)
