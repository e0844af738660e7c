"""The table of comparisons: one row per contrast, with Holm's adjustment over the tests of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from workflow_scripts.statistics.contrasts import Contrast, format_levels
from workflow_scripts.statistics.estimation import CONFIDENCE_LEVEL
from workflow_scripts.statistics.inference.hypothesis_tests import adjust_by_holm
from workflow_scripts.statistics.samples import NotComparable
from workflow_scripts.statistics.tables.entries import evidence_fields, variance_fields
from workflow_scripts.statistics.tables.schema import (
    BETTER,
    COMPARISON_COLUMNS,
    FIXED_TEST_SET,
    MEASURED,
    MISSING,
    NOT_SHOWN,
    REFUSED,
    WORSE,
    to_frame,
)


def comparison_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Build one row per contrast (columns `COMPARISON_COLUMNS`); Holm over all tests of a study.

    `p`, `ci_low`, `ci_high` and the verdict cover the `variance_sources`; `fixed_test_set_...` are for these test clips
    alone.
    """
    rows = [_row(contrast) for contrast in contrasts]
    for study in dict.fromkeys(contrast.study.name for contrast in contrasts):
        adjust_family([row for row in rows if row["study"] == study])
    return to_frame(rows, COMPARISON_COLUMNS)


def adjust_family(family: Sequence[dict[str, object]]) -> None:
    """Add to the rows of one family their p adjusted by Holm, its size and the verdicts."""
    for prefix in ("", FIXED_TEST_SET):
        adjusted = adjust_by_holm([_number(row, f"{prefix}p") for row in family])
        for row, p in zip(family, adjusted, strict=True):
            row[f"{prefix}p_holm"] = p
            row[f"{prefix}verdict"] = _verdict(row, p)
    tests = sum(math.isfinite(_number(row, "p")) for row in family)
    for row in family:
        row["family_size"] = tests


def _number(row: Mapping[str, object], name: str) -> float:
    return float(row.get(name, math.nan))  # type: ignore[arg-type]


def _verdict(row: Mapping[str, object], p_holm: float) -> str:
    if not math.isfinite(p_holm):
        return ""
    if p_holm > 1 - CONFIDENCE_LEVEL:
        return NOT_SHOWN
    return BETTER if _number(row, "mean") > 0 else WORSE


def _row(contrast: Contrast) -> dict[str, object]:
    row: dict[str, object] = {
        "study": contrast.study.name,
        "comparison": contrast.comparison.name,
        "metric": contrast.study.metric,
        **contrast.setting,
        "treatment": format_levels(contrast.comparison.treatment),
        "reference": format_levels(contrast.comparison.reference),
    }
    difference = contrast.difference
    if difference is None:
        return row | {"status": MISSING, "reason": contrast.reason}
    if isinstance(difference, NotComparable):
        return row | {"status": REFUSED, "reason": difference.reason}
    n, n_reference = difference.n
    return row | {
        "status": MEASURED,
        "reason": difference.reason,
        "design": difference.design,
        "replicate": difference.replicate,
        "n": n,
        "n_reference": n_reference,
        "mean": difference.mean,
        "p": difference.p,
        "ci_low": difference.ci.low,
        "ci_high": difference.ci.high,
        "effect": difference.effect,
        "sign_flip_p": difference.sign_flip_p,
        "fixed_test_set_ci_low": difference.fixed_test_set.low,
        "fixed_test_set_ci_high": difference.fixed_test_set.high,
        "fixed_test_set_p": difference.fixed_test_set_p,
        **variance_fields(difference.std_errors, difference.ci),
        **evidence_fields([contrast.treatment, contrast.reference], difference.clusters),
    }
