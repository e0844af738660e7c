"""Tables about the one study of synthetic results."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.synthetic_results import Results
from workflow_scripts.aggregate import study_tables
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.tables.cells import cell_table
from workflow_scripts.statistics.test_set_bootstrap import bootstrap_cells
from workflow_scripts.statistics.trials import gather

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Build the table of cells and every table about the study, by name."""
    manifest = results.read()
    samples = TrialSamples(gather(manifest).trials)
    replicates = bootstrap_cells(manifest, samples)
    return {"cells": cell_table(manifest, samples, replicates), **study_tables(manifest, samples, replicates)}


def entry(frame: pd.DataFrame, **levels: str) -> pd.Series:
    """Return the one row with these levels."""
    for factor, level in levels.items():
        frame = frame[frame[factor] == level]
    assert len(frame) == 1
    return frame.iloc[0]


def against_random(results: Results) -> pd.Series:
    """Return the one comparison that is left in the study."""
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    compared = tables(results)["comparisons"]
    assert len(compared) == 1
    return compared.iloc[0]
