"""Text of numbers in tables and figures: metrics with their unit, intervals, p values, counts, durations, sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workflow_scripts.statistics.estimation import CONFIDENCE_LEVEL
from workflow_scripts.statistics.inference.equivalence import EQUIVALENCE_LEVEL

MINUS, RANGE = "\N{MINUS SIGN}", "\N{EN DASH}"
#: level of every interval, of those that decide on equivalence, and of every test, as texts state them
CONFIDENCE, EQUIVALENCE = f"{100 * CONFIDENCE_LEVEL:g} %", f"{100 * EQUIVALENCE_LEVEL:g} %"
EFFECT_UNIT = "standard deviations"  # of the differences between pairs, or of the trials if they are unpaired
SIGNIFICANCE = f"{1 - CONFIDENCE_LEVEL:.2g}"
RATES = {
    "macro_f1": "macro F1",
    "macro_f1_positive": "macro F1 of the positive label",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "roc_auc_clip": "ROC-AUC per clip",
    "pr_auc_clip": "PR-AUC per clip",
}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Printed form of a metric: name, factor from stored to printed values, units, decimals."""

    name: str
    scale: float
    unit: str
    difference_unit: str
    decimals: int

    @property
    def is_rate(self) -> bool:
        """Whether values are from 0 to `scale`."""
        return bool(self.unit)

    @property
    def heading(self) -> str:
        """Name with unit, such as "macro F1 (%)"."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


def measure(metric: str) -> Measure:
    """Return the printed form of `metric`: percent for rates from 0 to 1, the stored value for anything else."""
    if metric in RATES:
        # one decimal: a test set of 1,000 clips does not resolve smaller differences
        return Measure(name=RATES[metric], scale=100, unit="%", difference_unit="points", decimals=1)
    return Measure(name=metric.replace("_", " "), scale=1, unit="", difference_unit="", decimals=3)


def number(value: float, decimals: int) -> str:
    """Format a rounded number with a true minus sign and without a negative zero."""
    text = f"{abs(value):.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and float(text) != 0 else text


def significant(value: float) -> str:
    """Format a number of any size with three digits, and with a true minus sign."""
    return f"{value:.3g}".replace("-", MINUS)


def signed_number(value: float, decimals: int) -> str:
    """Format a rounded number with its sign, "+" included; zero has none."""
    text = number(value, decimals)
    return f"+{text}" if value > 0 and float(text) != 0 else text


def amount(value: float, measure: Measure) -> str:
    """Format a stored difference in the printed unit."""
    unit = f" {measure.difference_unit}" if measure.difference_unit else ""
    return f"{number(value * measure.scale, measure.decimals)}{unit}"


def interval(low: float, high: float, measure: Measure) -> str:
    """Format a stored interval; empty if it is not finite.

    An end that would be rounded to zero gets more decimals, because its side of zero decides how a reader reads it.
    """
    if not math.isfinite(low):
        return ""
    ends = (_resolve_zero(end * measure.scale, measure.decimals) for end in (low, high))
    return f"[{', '.join(ends)}]"


def _resolve_zero(value: float, decimals: int) -> str:
    """Format a number with up to three more decimals until it differs from zero."""
    texts = [number(value, more) for more in range(decimals, decimals + 4)]
    return next((text for text in texts if text.strip(f"{MINUS}0.")), texts[0])


def mean_with_interval(mean: float, low: float, high: float, decimals: int) -> str:
    """Format a mean with ± half the width of its interval, or with both ends where rounding would not hide the error.

    Intervals near the ends of a metric's range reach further to the middle than to the end.
    """
    text = number(mean, decimals)
    if not math.isfinite(low):
        return f"{text} (no interval)"
    if abs((low + high) / 2 - mean) < 10.0**-decimals / 2:
        return f"{text} ± {half_width((high - low) / 2, decimals)}"
    return f"{text} [{number(low, decimals)}, {number(high, decimals)}]"


def value_with_interval(value: float, low: float, high: float, decimals: int) -> str:
    """Format a value with both ends of its interval, such as "1.2 [0.9, 1.5]", or "1.2 (no interval)"."""
    if math.isnan(low):
        return f"{number(value, decimals)} (no interval)"
    return f"{number(value, decimals)} [{number(low, decimals)}, {number(high, decimals)}]"


def half_width(value: float, decimals: int) -> str:
    """Format half the width of an interval; a width too small to print becomes "<0.1", not zero."""
    smallest = 10.0**-decimals
    return f"<{smallest:.{decimals}f}" if 0 < value < smallest / 2 else number(value, decimals)


def deviation(value: float, decimals: int) -> str:
    """Format a standard deviation as a publication prints it beside its mean."""
    return f"SD {half_width(value, decimals)}"


def p_value(p: float) -> str:
    """Format a p value with three decimals; empty if it is not finite."""
    if not math.isfinite(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def count(n: int, plural: str) -> str:
    """Format a count with its noun, given in the plural, such as "1 trial" or "10 trials"."""
    return f"{n:,} {plural[:-1] if n == 1 else plural}"


def duration(seconds: float) -> str:
    """Format seconds, such as "4.2 s", "3 min 05 s" or "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def size(number_of_bytes: float) -> str:
    """Format bytes as GB or MB (powers of ten)."""
    return f"{number_of_bytes / 1e9:.1f} GB" if number_of_bytes >= 1e9 else f"{number_of_bytes / 1e6:.0f} MB"
