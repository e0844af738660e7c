"""Verdicts on claims."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.statistics.estimation import ConfidenceInterval
from workflow_scripts.statistics.reproduction.context import Estimate
from workflow_scripts.statistics.reproduction.verdicts import decide_claim


def estimate(low: float, high: float) -> Estimate:
    ci = ConfidenceInterval(low=low, high=high)
    return Estimate(
        value=(low + high) / 2,
        ci=ci,
        ci90=ci,
        variance_sources=("trials",),
        replicate="trials",
        n=10,
        pretraining_seeds=1,
        sources=("download",),
    )


@pytest.mark.parametrize(
    ("low", "high", "expected", "margin", "verdict"),
    [
        (0.1, 2, "above zero", 0, "holds"),
        (0, 2, "above zero", 0, "undecided"),
        (-2, 0, "above zero", 0, "undecided"),
        (-2, -0.1, "above zero", 0, "does not hold"),
        (-2, -0.1, "below zero", 0, "holds"),
        (-2, 0.1, "below zero", 0, "undecided"),
        (0.1, 2, "below zero", 0, "does not hold"),
        (-2, 0, "not above zero", 0, "holds"),
        (-2, 0.5, "not above zero", 0, "undecided"),
        (-2, 0.5, "not above zero", 1, "holds"),
        (0.5, 1.5, "not above zero", 1, "undecided"),
        (1.5, 2, "not above zero", 1, "does not hold"),
        (-0.5, 0.5, "near zero", 1, "holds"),
        (-1.5, 0.5, "near zero", 1, "undecided"),
        (-3, -1.5, "near zero", 1, "does not hold"),
        (1.5, 3, "near zero", 1, "does not hold"),
        (float("nan"), float("nan"), "above zero", 0, "undecided"),
    ],
)
def test_a_claim_follows_the_interval(low: float, high: float, expected: str, margin: float, verdict: str) -> None:
    assert decide_claim(estimate(low, high), expected, margin=margin)[0] == verdict


@settings(deadline=None, max_examples=50)
@given(low=st.floats(-5, 5), width=st.floats(0, 5))
def test_above_and_below_mirror_each_other(low: float, width: float) -> None:
    above = decide_claim(estimate(low, low + width), "above zero")
    below = decide_claim(estimate(-low - width, -low), "below zero")
    assert above == below
