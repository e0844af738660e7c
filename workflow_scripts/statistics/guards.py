"""What a table must not claim: each guard says in words why, or None if there is nothing to object to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workflow_scripts.statistics.inference.confidence_intervals import MIN_REPLICATES

Action = Literal["refuse", "mark"]
NOT_BLOCKS = {
    "trial": "trials of one data set share its clips",
    "seed": "seeds repeat one measurement",
    "pretrain_seed": "checkpoints repeat one measurement",
    "fraction": "fractions of one data set share its clips",
}


@dataclass(frozen=True, kw_only=True)
class Objection:
    """Why a number is not shown ("refuse"), or what must stand beside it ("mark")."""

    action: Action
    reason: str


def friedman_blocks(factor: str) -> Objection | None:
    """Refuse a Friedman (or Nemenyi) test over blocks that are not data sets.

    Its blocks must be independent (Demsar 2006): trials or seeds as blocks turn ten repetitions on one data set into
    ten data sets, and the critical difference shrinks with every seed.
    """
    if factor == "dataset":
        return None
    why = NOT_BLOCKS.get(factor, f"{factor} is no independent sample of problems")
    return Objection(action="refuse", reason=f"{factor} as blocks: {why}; only data sets are independent blocks")


def one_checkpoint(checkpoints: int) -> Objection | None:
    """Mark what rests on a single pre-trained checkpoint; 0 stands for a method without pre-training."""
    if checkpoints != 1:
        return None
    return Objection(action="mark", reason="about this checkpoint, not the method: one pre-training seed")


def too_few(n: int, *, of: Literal["trials", "pretraining seeds", "clusters"]) -> Objection | None:
    """Refuse an interval from fewer than three values."""
    if n >= MIN_REPLICATES:
        return None
    unit = of.replace("pretraining", "pre-training")
    return Objection(action="refuse", reason=f"{n} {unit if n != 1 else unit[:-1]}: no interval from fewer than three")


def other_data(left: str, right: str) -> Objection | None:
    """Refuse to compare what was measured on different corpora, told by their digests."""
    if left == right:
        return None
    return Objection(action="refuse", reason=f"measured on different data (digests {left} and {right})")


def other_quarantine(left: int, right: int) -> Objection | None:
    """Refuse to compare where different numbers of clips were quarantined: the tests are not the same."""
    if left == right:
        return None
    return Objection(action="refuse", reason=f"different quarantine ({left} and {right} clips left out)")


def other_source(left: str, right: str) -> Objection | None:
    """Refuse to compare numbers from twins with numbers from real recordings."""
    if left == right:
        return None
    return Objection(action="refuse", reason=f"different sources of data ({left} and {right})")
