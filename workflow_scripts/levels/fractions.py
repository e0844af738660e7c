"""Fractions: shares of the training labels, by the names of their levels."""

from __future__ import annotations

import re
from typing import Literal

from workflow_scripts.core.errors import UserError

#: a percentage, and a suffix where a rule of the config's section `fractions` chooses the labels
FRACTION = re.compile(r"(?!0+(?:\.0+)?pct)(100|[1-9]?\d(?:\.\d+)?)pct(_[A-Za-z0-9_.+-]{1,50})?")
ALLOWED = "a percentage above 0 and at most 100, such as 100pct or 12.5pct"
ALL_LABELS = "100pct"  # the fraction at which every trial trains on the same labels
#: rules that choose the labels of a trial
Subset = Literal["clips", "segments_powerset"]


def parse_fraction(name: str) -> float:
    """Parse the name of a fraction into the share of the training labels: "12.5pct" and "12.5pct_segments" are 0.125.

    Raises `UserError` for an invalid name.
    """
    match = FRACTION.fullmatch(name)
    if match is None:
        raise UserError(f"unknown fraction {name!r}; write {ALLOWED}")
    return float(match[1]) / 100


def is_plain(name: str) -> bool:
    """Return whether a name is a percentage alone."""
    match = FRACTION.fullmatch(name)
    return match is not None and match[2] is None
