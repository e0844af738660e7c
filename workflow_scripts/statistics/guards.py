"""Claims that a table must not make: each guard returns the reason in words, or an empty text."""

from __future__ import annotations

from typing import Literal

from workflow_scripts.statistics.inference.confidence_intervals import MIN_REPLICATES

NOT_BLOCKS = {
    "trial": "trials of one data set share its clips",
    "seed": "seeds repeat one measurement",
    "pretrain_seed": "pre-training seeds repeat one measurement",
    "fraction": "fractions of one data set share its clips",
}


def friedman_blocks_reason(factor: str) -> str:
    """Return the reason against a Friedman (or Nemenyi) test over blocks that are not data sets.

    Its blocks must be independent (Demsar 2006): trials or seeds as blocks turn ten repetitions on one data set into
    ten data sets, and the critical difference shrinks with every seed.
    """
    if factor == "dataset":
        return ""
    why = NOT_BLOCKS.get(factor, f"{factor} is no independent sample of problems")
    return f"{factor} as blocks: {why}; only data sets are independent blocks"


def one_pretraining_seed_reason(seeds: int) -> str:
    """Return a remark on a result from a single pre-training seed; a method without pre-training has 0 seeds."""
    return "about this run, not the method: one pre-training seed" if seeds == 1 else ""


def too_few_reason(n: int, *, of: Literal["trials", "pretraining seeds", "clusters"]) -> str:
    """Return the reason against an interval from fewer than three values."""
    if n >= MIN_REPLICATES:
        return ""
    return f"{count_replicates(n, of)}: no interval from fewer than three"


def count_replicates(n: int, unit: str) -> str:
    """Return a number with its unit, given in the plural, such as "1 trial" or "2 pre-training seeds"."""
    words = unit.replace("pretraining", "pre-training")
    return f"{n} {words if n != 1 else words[:-1]}"


def different_data_reason(left: str, right: str) -> str:
    """Return the reason against comparing results whose corpora have different digests."""
    return "" if left == right else f"measured on different data (digests {left} and {right})"


def different_quarantine_reason(left: int, right: int) -> str:
    """Return the reason against comparing results with different numbers of quarantined clips: test sets differ."""
    return "" if left == right else f"different quarantine ({left} and {right} clips left out)"


def different_source_reason(left: str, right: str) -> str:
    """Return the reason against comparing results on twins with results on real recordings."""
    return "" if left == right else f"different sources of data ({left} and {right})"
