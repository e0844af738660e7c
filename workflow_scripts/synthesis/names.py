"""Invented names and identifiers for the label files of twins."""

from __future__ import annotations

import numpy as np

_FIRST = [
    "Blue",
    "Old",
    "Silent",
    "Golden",
    "Lost",
    "Paper",
    "Northern",
    "Little",
    "Second",
    "Distant",
    "Velvet",
    "Open",
]
_SECOND = [
    "River",
    "Lantern",
    "Harbour",
    "Garden",
    "Engine",
    "Window",
    "Meadow",
    "Signal",
    "Orchard",
    "Station",
    "Tide",
]
_BANDS = ("Band", "Orchestra", "Trio", "Quartet", "Collective", "Players")


def invent_title(rng: np.random.Generator) -> str:
    """Invent a track's title; some have a comma, quotes, an ampersand or an accent, which break careless readers."""
    words = f"{rng.choice(_FIRST)} {rng.choice(_SECOND)}"
    special = {0: f"{words}, Part {rng.integers(1, 4)}", 1: f'The "{words}"', 2: f"{words} & Co.", 3: f"Café {words}"}
    return special.get(int(rng.integers(20)), words)


def invent_artist(rng: np.random.Generator) -> str:
    """Invent an artist's name."""
    return f"{rng.choice(_SECOND)} {rng.choice(_BANDS)}"


def format_csv(rows: list[list[object]]) -> str:
    """Format rows as csv text, quoted only where needed, with line feeds."""
    return "".join(",".join(_quote_field(str(cell)) for cell in row) + "\n" for row in rows)


def _quote_field(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(letter in text for letter in ',"\n') else text
