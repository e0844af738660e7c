"""Validation curves of the trials of a cell, epoch by epoch: `validation.csv`, written and read in one place.

A row has the loss on the validation clips after an epoch, and the scores, where the protocol stops by them. `kept` is
the share of the trial's classifiers whose best epoch it is: 1 at one epoch of a training, or shares of 1 where each
class has a classifier of its own. Numbers have six significant digits, about the precision of the float32 losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import name_damage
from workflow_scripts.core.files import write_text
from workflow_scripts.statistics.metrics import AREAS

COLUMNS = ("trial", "epoch", "loss", "kept", *AREAS)  # the last ones only where the protocol stops by scores
KEYS = 2  # columns before the values
REMEDY = "delete its folder and evaluate again"


@dataclass(frozen=True, kw_only=True, eq=False)
class ValidationCurve:
    """Curve of a trial: the values of each of its epochs, from the first on; `scores` by the name of the metric."""

    trial: int
    loss: np.ndarray
    kept: np.ndarray
    scores: dict[str, np.ndarray]


def write_curves(path: Path, curves: Sequence[np.ndarray]) -> None:
    """Write the values (epochs, columns of `COLUMNS` after the keys) of each trial."""
    columns = COLUMNS[: KEYS + curves[0].shape[1]]
    rows = [
        f"{trial},{epoch},{','.join(f'{value:.6g}' for value in values)}\n"
        for trial, curve in enumerate(curves)
        for epoch, values in enumerate(curve.tolist(), start=1)
    ]
    write_text(path, "".join([f"{','.join(columns)}\n", *rows]))


def read_curves(path: Path) -> list[ValidationCurve]:
    """Read the curves of a cell, none where there is no file; `UserError` names one that is damaged."""
    if not path.is_file():
        return []
    require_unchanged(path)
    with name_damage(path, remedy=REMEDY):
        values = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, dtype=np.float64)
        columns = dict(zip(COLUMNS, values.T, strict=False))
        places = np.split(np.arange(len(values)), np.flatnonzero(np.diff(columns["trial"])) + 1)
        return [
            ValidationCurve(
                trial=int(columns["trial"][rows[0]]),
                loss=columns["loss"][rows],
                kept=columns["kept"][rows],
                scores={name: columns[name][rows] for name in AREAS if name in columns},
            )
            for rows in places
        ]
