"""Weights of the workers' losses, computed from losses of another run; `weigh` writes and `pretrain` reads them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.loss_log import LossRow


def read_losses(path: Path) -> list[LossRow]:
    """Read the rows of a losses.csv; `UserError` if it is missing or changed."""
    require_unchanged(path)
    with path.open(encoding="utf-8", newline="") as file:
        return [
            LossRow(int(row["epoch"]), row["split"], row["worker"], float(row["loss"]), float(row["weight"]))
            for row in csv.DictReader(file)
        ]


def validation_losses(rows: Iterable[LossRow], *, epochs: int) -> dict[str, list[float]]:
    """Select the validation losses of each worker in the first `epochs` epochs, in order of epochs.

    Raises `UserError` if an epoch has none.
    """
    by_worker: dict[str, list[float]] = {}
    for row in rows:
        if row.split == "valid" and row.epoch <= epochs:
            by_worker.setdefault(row.worker, []).append(row.loss)
    if not by_worker or any(len(losses) < epochs for losses in by_worker.values()):
        raise UserError(
            f"weights need validation losses of {epochs} epochs: set the recipe's validation_batches above 0"
        )
    return by_worker


def read_weights(path: Path) -> dict[str, float]:
    """Read the weight of each worker from a file written by `weigh`; `UserError` if it is changed."""
    require_unchanged(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    weights = {str(worker): float(weight) for worker, weight in content["weights"].items()}
    require_positive(weights)
    return weights


def require_positive(weights: Mapping[str, float]) -> None:
    """Raise `UserError` for a weight that is not a finite number above zero."""
    for worker, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise UserError(f"worker {worker} would get the weight {weight}: its losses are zero or not finite")
