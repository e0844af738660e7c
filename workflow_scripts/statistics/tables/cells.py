"""The table of cells: one row per planned cell and metric."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.planning.manifest import Manifest, PlannedCell
from workflow_scripts.statistics.inference.confidence_intervals import mean_interval
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.tables.schema import CELL_COLUMNS, MEASURED, MISSING, to_frame


def cell_table(plan: Manifest, samples: TrialSamples) -> pd.DataFrame:
    """Build one row per planned cell and metric (columns `CELL_COLUMNS`), missing cells with the reason.

    In planned order. The interval is over the trials, for the fixed test set.
    """
    rows = []
    for evaluation in plan.evaluations:
        for metric in samples.metrics(evaluation) or [""]:
            rows.append(_row(evaluation, metric, samples))
    return to_frame(rows, CELL_COLUMNS)


def _row(evaluation: PlannedCell, metric: str, samples: TrialSamples) -> dict[str, object]:
    reason = samples.reason_missing(evaluation, metric)
    row: dict[str, object] = {
        **evaluation.factors,
        "metric": metric,
        "studies": " ".join(sorted(evaluation.studies)),
        "status": MISSING if reason else MEASURED,
        "reason": reason,
    }
    sample = samples.get(evaluation, metric)
    if sample is None:
        return row
    estimate = mean_interval(sample.values)
    return row | {
        "mean": estimate.mean,
        "std": estimate.std,
        "ci_low": estimate.ci.low,
        "ci_high": estimate.ci.high,
        "trials": estimate.n,
        "test_clips": sample.test_clips,
        "quarantined": sample.quarantined,
        "source": sample.source,
        "data": sample.data,
    }
