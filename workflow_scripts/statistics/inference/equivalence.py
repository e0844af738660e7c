"""Equivalence with a published number: two one-sided t tests (TOST) against a margin declared beforehand.

One interval decides (Schuirmann 1987). With 5 % as the rate of each error it is the 90 % interval of the difference:
inside the margin, the result is equivalent; wholly beyond it, different; otherwise inconclusive, also where the
difference is surely not zero but may still be smaller than the margin. A true difference of exactly the margin is
called equivalent, or different, in at most 5 % of cases each.
"""

from __future__ import annotations

import math
from typing import Literal

from workflow_scripts.core.errors import UserError

Verdict = Literal["equivalent", "different", "inconclusive"]
ERROR = 0.05  # rate of calling a difference as large as the margin equivalent
EQUIVALENCE_LEVEL = 1 - 2 * ERROR  # of the interval that decides: one error rate on each side


def decide(low: float, high: float, *, margin: float) -> Verdict:
    """Return the verdict on a difference from its interval at `EQUIVALENCE_LEVEL`; no interval is inconclusive.

    `UserError` if the margin is not above zero and finite.
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise UserError(f"margin {margin}: state a margin above zero, in the unit of the metric")
    if -margin < low and high < margin:
        return "equivalent"
    return "different" if high < -margin or low > margin else "inconclusive"
