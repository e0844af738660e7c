"""Weights of the workers' losses, from the losses of another run; `weigh` writes them, `pretrain` reads them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.loss_log import Row


def read_losses(path: Path) -> list[Row]:
    """Rows of a losses.csv."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(int(row["epoch"]), row["split"], row["worker"], float(row["loss"]), float(row["weight"]))
            for row in csv.DictReader(file)
        ]


def validation_losses(rows: Iterable[Row], *, epochs: int) -> dict[str, list[float]]:
    """Validation losses of each worker in the first `epochs` epochs, in their order.

    `UserError` if an epoch has none.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.split == "valid" and row.epoch <= epochs:
            found.setdefault(row.worker, []).append(row.loss)
    if not found or any(len(losses) < epochs for losses in found.values()):
        raise UserError(
            f"weights need validation losses of {epochs} epochs: set the recipe's validation_batches above 0"
        )
    return found


def read_weights(path: Path) -> dict[str, float]:
    """Weight of each worker from a file written by `weigh`; `UserError` if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        weights = {str(worker): float(weight) for worker, weight in content["weights"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is missing or damaged: weigh again") from error
    check(weights)
    return weights


def check(weights: Mapping[str, float]) -> None:
    """Raise `UserError` for a weight that is not a number above zero."""
    for worker, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise UserError(f"worker {worker} would get the weight {weight}: its losses are zero or not finite")
