"""The table of cells: one row per planned cell and metric."""

from __future__ import annotations

import pandas as pd

from workflow_scripts.planning.manifest import Manifest, PlannedCell
from workflow_scripts.statistics.data_sources import training_fields
from workflow_scripts.statistics.estimation import estimate_mean
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.tables.schema import CELL_COLUMNS, MEASURED, MISSING, to_frame
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates


def cell_table(manifest: Manifest, samples: TrialSamples, replicates: BootstrapReplicates) -> pd.DataFrame:
    """Build one row per planned cell and metric (columns `CELL_COLUMNS`), missing cells with the reason.

    In planned order. The interval is that of the table of entries; in a metric that no study shows of a cell, which has
    no `replicates`, it covers the trials alone (`variance_sources`).
    """
    rows = []
    for cell in manifest.cells:
        for metric in samples.metrics(cell) or [""]:
            rows.append(_row(cell, metric, samples, replicates) | training_fields(manifest, cell.factors))
    return to_frame(rows, CELL_COLUMNS)


def _row(cell: PlannedCell, metric: str, samples: TrialSamples, replicates: BootstrapReplicates) -> dict[str, object]:
    reason = samples.reason_missing(cell, metric)
    row: dict[str, object] = {
        **cell.factors,
        "metric": metric,
        "studies": " ".join(sorted(cell.studies)),
        "status": MISSING if reason else MEASURED,
        "reason": reason,
    }
    sample = samples.get(cell, metric)
    if sample is None:
        return row
    estimate = estimate_mean([sample], replicates)
    return row | {
        "mean": estimate.mean,
        "std": estimate.std,
        "ci_low": estimate.ci.low,
        "ci_high": estimate.ci.high,
        "variance_sources": " and ".join(estimate.std_errors.variance_sources),
        "n_trials": estimate.n,
        "test_clips": sample.test_clips,
        "quarantined": sample.quarantined,
        "source": sample.source,
        "data_digest": sample.data_digest,
    }
