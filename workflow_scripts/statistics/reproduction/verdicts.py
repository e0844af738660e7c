"""Verdicts on published numbers and claims.

A number agrees if the 90 % interval of our difference from it lies within the margin declared beforehand (two one-sided
tests), differs if the interval lies wholly beyond, and is undecided otherwise. A claim in words, and a number that is a
bound ("no tag differs by more than 4 points"), holds by the 95 % interval. No verdict is adjusted for the
number of verdicts. Twins get no verdict on a number. A setting agrees if what was run equals what was published.
"""

from __future__ import annotations

import math
from dataclasses import replace

from workflow_scripts.configuration.published import Statement
from workflow_scripts.statistics.estimation import ConfidenceInterval
from workflow_scripts.statistics.guards import count_replicates
from workflow_scripts.statistics.inference.equivalence import decide
from workflow_scripts.statistics.reproduction.context import TWIN, Estimate
from workflow_scripts.statistics.reproduction.quantity import Quantity
from workflow_scripts.statistics.reproduction.statement_checks import CLAIMS

NOT_RUN, NOT_COMPARABLE, NOT_OURS = "not run", "not comparable", "not a result of this benchmark"
AGREES, DIFFERS, UNDECIDED = "agrees", "differs", "undecided"
HOLDS, DOES_NOT_HOLD = "holds", "does not hold"
OF_EQUIVALENCE = {"equivalent": AGREES, "different": DIFFERS, "inconclusive": UNDECIDED}

ROUNDING = 1e-9  # relative; a setting is typed by hand, so anything further off is another setting


def decide_number(published: str, statement: Statement, quantity: Quantity, estimate: Estimate) -> tuple[str, str]:
    """Return the verdict on a row with the printed value `published` (empty: a claim), and what limits the verdict."""
    if math.isnan(estimate.value):
        return UNDECIDED, "no value: the mean of what it is compared with is not above zero"
    if statement.expected in CLAIMS:
        return decide_claim(estimate, statement.expected, margin=statement.margin or 0.0)
    number = float(published)
    if quantity.kind == "chosen":
        allowed = max(statement.margin or 0.0, ROUNDING * abs(number))
        distance = max(abs(estimate.ci.low - number), abs(estimate.ci.high - number))
        return (AGREES if distance <= allowed else DIFFERS), ""
    if TWIN in estimate.sources or not estimate.sources:
        return NOT_COMPARABLE, "twin data" if estimate.sources else "no record of where the data came from"
    assert statement.margin is not None  # `check_statement` has refused the others
    if statement.expected:
        excess = _excess(number, estimate, expected=statement.expected)
        return decide_claim(excess, "not above zero", margin=statement.margin)
    low, high = estimate.ci90.low - number, estimate.ci90.high - number
    verdict = OF_EQUIVALENCE[decide(low, high, margin=statement.margin)]
    return verdict, "" if estimate.ci.is_known else _no_interval(estimate)


def decide_claim(estimate: Estimate, expected: str, *, margin: float = 0.0) -> tuple[str, str]:
    """Return the verdict on a claim about a sign from the 95 % interval, and what limits the verdict.

    "above zero" and "below zero" hold if the whole interval is on that side, and do not hold if it is on the other.
    "not above zero" holds if the whole interval is at most `margin`, and does not if the whole interval is above it;
    "near zero" is the same on both sides. "not significantly above zero" is a claim about a test, not about the truth:
    it does not hold if the whole interval is above zero, and holds otherwise.
    """
    if not estimate.ci.is_known:
        return UNDECIDED, _no_interval(estimate)
    low, high = estimate.ci.low, estimate.ci.high
    if expected == "below zero":
        low, high = -high, -low
    if expected == "not above zero":
        holds, fails = high <= margin, low > margin
    elif expected == "not significantly above zero":
        holds, fails = low <= 0, low > 0
    elif expected == "near zero":
        holds, fails = -margin <= low <= high <= margin, low > margin or high < -margin
    else:
        holds, fails = low > 0, high < 0
    return (HOLDS if holds else DOES_NOT_HOLD if fails else UNDECIDED), ""


def _excess(number: float, estimate: Estimate, *, expected: str) -> Estimate:
    """Return by how much an estimate exceeds a number on the side where it should not be."""
    low, high = estimate.ci.low - number, estimate.ci.high - number
    if expected == "not below":
        low, high = -high, -low
    return replace(estimate, ci=ConfidenceInterval(low=low, high=high))


def _no_interval(estimate: Estimate) -> str:
    return f"no interval from {count_replicates(estimate.n, estimate.replicate)}"
