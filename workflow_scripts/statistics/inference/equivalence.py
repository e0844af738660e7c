"""Does a result agree with a published number: two one-sided t tests (TOST) against a margin declared beforehand.

One interval decides. With 5 % as the rate of each error it is the 90 % interval of the difference: inside the margin,
the result is equivalent; wholly beyond it, different; otherwise inconclusive, also where the difference is surely not
zero but may still be smaller than the margin. A true difference of exactly the margin is called equivalent, or
different, in at most 5 % of cases each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import (
    Interval,
    mean_interval,
    satterthwaite,
    t_quantile,
)
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE

Verdict = Literal["equivalent", "different", "inconclusive"]
ERROR = 0.05  # rate of calling a difference as large as the margin equivalent


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Verdict on a difference (ours minus the other) with its 90 % interval, in the unit of the values.

    `p` is the larger p of the two one-sided tests: that of equivalence. `degrees` are those of the t distribution, not
    a number where there are too few values for an interval (then the verdict is inconclusive).
    """

    verdict: Verdict
    difference: float
    low: float
    high: float
    margin: float
    p: float
    df: float


def against_published(
    values: Sequence[float] | np.ndarray,
    published: float,
    *,
    margin: float,
    published_sd: float | None = None,
    published_n: int | None = None,
) -> Equivalence:
    """Compare the mean of independent `values` with a published mean.

    With the deviation and number of the published values as well, Welch's degrees of freedom; without, the published
    mean is taken as exact. `UserError` for one without the other, or a margin that is not above zero.
    """
    sample = mean_interval(values)
    variances, df = [_variance(sample)], [sample.n - 1]
    if (published_sd is None) != (published_n is None):
        raise UserError("a published deviation needs the number of values it was taken over; give both or neither")
    if published_sd is not None and published_n is not None:
        if published_n < 2 or not published_sd >= 0:
            raise UserError("a published deviation must be zero or more, over at least two values")
        variances.append(published_sd**2 / published_n)
        df.append(published_n - 1)
    if not sample.known:
        return tost(sample.mean - published, standard_error=math.nan, df=math.nan, margin=margin)
    return tost(
        sample.mean - published,
        standard_error=math.sqrt(sum(variances)),
        df=satterthwaite(variances, df),
        margin=margin,
    )


def tost(difference: float, *, standard_error: float, df: float, margin: float) -> Equivalence:
    """Judge an estimated `difference` by its standard error and t degrees of freedom.

    For errors with several parts, such as trials and test clips. A standard error that is not a number is
    inconclusive; one of zero (or rounding) leaves the difference itself to decide. `UserError` if the margin is not
    above zero.
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise UserError(f"margin {margin}: state a margin above zero, in the unit of the metric")
    if not math.isfinite(standard_error):
        unknown = math.nan
        return Equivalence(
            verdict="inconclusive", difference=difference, low=unknown, high=unknown, margin=margin, p=unknown,
            df=unknown,
        )  # fmt: skip
    sure = standard_error <= ZERO_VARIANCE
    half_width = 0.0 if sure else t_quantile(df, 1 - 2 * ERROR) * standard_error
    low, high = difference - half_width, difference + half_width
    return Equivalence(
        verdict=decide(low, high, margin=margin),
        difference=difference,
        low=low,
        high=high,
        margin=margin,
        p=_p(margin - abs(difference), standard_error, df),
        df=df,
    )


def decide(low: float, high: float, *, margin: float) -> Verdict:
    """Return the verdict on a difference from its 90 % interval, however that was found; none is inconclusive."""
    if -margin < low and high < margin:
        return "equivalent"
    return "different" if high < -margin or low > margin else "inconclusive"


def _p(room: float, standard_error: float, df: float) -> float:
    """Return p of the nearer margin, `room` away: the larger of the two tests' p."""
    if standard_error <= ZERO_VARIANCE:
        return 0.0 if room > 0 else 1.0
    return float(special.stdtr(df, -room / standard_error))


def _variance(sample: Interval) -> float:
    return sample.std**2 / sample.n if sample.n else math.nan
