"""Losses of a pre-training: their means by epoch, and the check that they are numbers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining import distributed


@dataclass(frozen=True)
class Row:
    """Mean loss of a worker over an epoch."""

    epoch: int  # from 1
    split: str  # train or valid
    worker: str
    loss: float
    weight: float


@dataclass
class History:
    """All finished epochs, and the sums of the present one."""

    rows: list[Row] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """Add the losses of one step or validation batch."""
        self.sums = {worker: self.sums.get(worker, 0.0) + loss for worker, loss in losses.items()}
        self.count += 1

    def close(self, *, epoch: int, split: str, weights: Mapping[str, float]) -> None:
        """Write the means of what was added since the last call as rows."""
        means = {worker: total / self.count for worker, total in self.sums.items()}
        self.rows += [Row(epoch, split, worker, mean, weights[worker]) for worker, mean in means.items()]
        self.sums, self.count = {}, 0

    def summary(self, epoch: int) -> str:
        """Losses of an epoch in one line."""
        by_split: dict[str, list[str]] = {}
        for row in self.rows:
            if row.epoch == epoch:
                by_split.setdefault(row.split, []).append(f"{row.worker} {row.loss:.4g}")
        return "; ".join(f"{split}: {', '.join(losses)}" for split, losses in by_split.items())

    def as_csv(self) -> str:
        """Table epoch, split, worker, loss, weight; equal histories give equal bytes."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["epoch", "split", "worker", "loss", "weight"])
        for row in self.rows:
            table.writerow([row.epoch, row.split, row.worker, f"{row.loss:.9g}", f"{row.weight:.9g}"])
        return text.getvalue()

    def as_state(self) -> dict[str, Any]:
        """Return what `from_state` restores."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> History:
        """Restore a history."""
        return cls(rows=[Row(**row) for row in state["rows"]], sums=dict(state["sums"]), count=state["count"])


class LossReader:
    """Fetches losses from the device a few steps at a time: asking a GPU for a number makes it wait.

    Of several processes each reads the mean of all, so all must add and read at the same steps.
    """

    def __init__(self, history: History, workers: Sequence[str], *, every: int) -> None:
        """Read after each `every` steps into `history`."""
        self.history, self.workers, self.every = history, list(workers), every
        self._pending: list[tuple[int, Tensor]] = []

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Take the losses of step `step`; `UserError` names the first one that is not finite."""
        self._pending.append((step, torch.stack([losses[worker].detach() for worker in self.workers])))
        if len(self._pending) >= self.every:
            self.read()

    def read(self) -> None:
        """Read what is pending."""
        if not self._pending:
            return
        values = distributed.mean(torch.stack([losses for _, losses in self._pending])).tolist()
        steps = [step for step, _ in self._pending]
        self._pending = []
        for step, numbers in zip(steps, values, strict=True):
            losses = dict(zip(self.workers, numbers, strict=True))
            require_finite(losses, step)
            self.history.add(losses)


def require_finite(losses: Mapping[str, float], step: int) -> None:
    """Raise `UserError` that names step and worker if a loss is NaN or infinite."""
    for worker, loss in losses.items():
        if not math.isfinite(loss):
            raise UserError(
                f"the loss of worker {worker} is {loss} in step {step + 1}: lower the recipe's learning rates, "
                "start the heads at the mean target or normalise the targets"
            )
