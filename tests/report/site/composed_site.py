"""The site of synthetic results."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.report.aggregated_study import statistics
from tests.synthetic_results import Results
from workflow_scripts import compose
from workflow_scripts.statistics.validation_curves import write_curves


def compose_site(results: Results) -> Path:
    """Aggregate `results` and compose their site, without figures of studies; return its folder."""
    folder = results.folder / "report"
    arguments = ["--statistics", str(statistics(results)), "--figures", str(results.folder / "figures")]
    compose.main(["--manifest", results.manifest_file(), *arguments, "--output", str(folder)])
    return folder


def store_curves(results: Results, place: int, **more: int) -> Path:
    """Store the curves of ten trials in a cell."""
    path = Path(results.manifest["cells"][place]["path"]).with_name("validation.csv")
    write_curves(path, [_curve(trial, **more) for trial in range(10)])
    return path


def _curve(trial: int, *, epochs: int = 30, scores: bool = False) -> np.ndarray:
    """Return loss, kept epoch and scores of a trial whose loss is lowest after two thirds of its epochs."""
    epoch, best = np.arange(epochs + trial), 2 * (epochs + trial) // 3
    loss = 1 + 0.01 * trial + ((epoch - best) / epochs) ** 2
    columns = [loss, epoch == best, *([1 - loss / 4, 1 - loss / 3] if scores else [])]
    return np.stack(columns, axis=1).astype(np.float32)
