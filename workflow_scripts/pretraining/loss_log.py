"""Loss log of a pre-training: mean losses by epoch, split and worker, checked to be finite."""

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
class LossRow:
    """Mean loss of a worker over an epoch."""

    epoch: int  # from 1
    split: str  # train or valid
    worker: str
    loss: float
    weight: float


@dataclass
class LossLog:
    """Mean losses of all finished epochs, and the running sums of the current one."""

    rows: list[LossRow] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """Add the losses of one step or validation batch."""
        self.sums = {worker: self.sums.get(worker, 0.0) + loss for worker, loss in losses.items()}
        self.count += 1

    def close_epoch(self, *, epoch: int, split: str, weights: Mapping[str, float]) -> None:
        """Append the mean losses since the last call as rows, and reset the sums."""
        means = {worker: total / self.count for worker, total in self.sums.items()}
        self.rows += [LossRow(epoch, split, worker, mean, weights[worker]) for worker, mean in means.items()]
        self.sums, self.count = {}, 0

    def summarise(self, epoch: int) -> str:
        """Format the losses of an epoch in one line."""
        by_split: dict[str, list[str]] = {}
        for row in self.rows:
            if row.epoch == epoch:
                by_split.setdefault(row.split, []).append(f"{row.worker} {row.loss:.4g}")
        return "; ".join(f"{split}: {', '.join(losses)}" for split, losses in by_split.items())

    def to_csv(self) -> str:
        """Format the table epoch, split, worker, loss, weight; equal logs give equal bytes."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["epoch", "split", "worker", "loss", "weight"])
        for row in self.rows:
            table.writerow([row.epoch, row.split, row.worker, f"{row.loss:.9g}", f"{row.weight:.9g}"])
        return text.getvalue()

    def to_state(self) -> dict[str, Any]:
        """Return plain values, the input of `from_state`."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LossLog:
        """Restore a log from the values of `to_state`."""
        return cls(rows=[LossRow(**row) for row in state["rows"]], sums=dict(state["sums"]), count=state["count"])


class LossReader:
    """Reader of losses from the device, several steps at a time, because every read makes a GPU wait.

    With several processes, each reads the mean over all of them, so all must add and read at the same steps.
    """

    def __init__(self, loss_log: LossLog, workers: Sequence[str], *, every: int) -> None:
        """Read into `loss_log` after each `every` steps."""
        self.loss_log, self.workers, self.every = loss_log, list(workers), every
        self._pending: list[tuple[int, Tensor]] = []

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Queue the losses of step `step`; `UserError` names the first one that is not finite."""
        self._pending.append((step, torch.stack([losses[worker].detach() for worker in self.workers])))
        if len(self._pending) >= self.every:
            self.read()

    def read(self) -> None:
        """Read the queued losses."""
        if not self._pending:
            return
        values = distributed.all_reduce_mean(torch.stack([losses for _, losses in self._pending])).tolist()
        steps = [step for step, _ in self._pending]
        self._pending = []
        for step, numbers in zip(steps, values, strict=True):
            losses = dict(zip(self.workers, numbers, strict=True))
            require_finite(losses, step)
            self.loss_log.add(losses)


def require_finite(losses: Mapping[str, float], step: int) -> None:
    """Raise `UserError` naming step and worker if a loss is NaN or infinite."""
    for worker, loss in losses.items():
        if not math.isfinite(loss):
            raise UserError(
                f"the loss of worker {worker} is {loss} in step {step + 1}: lower the recipe's learning rates, "
                "start the heads at the mean target or normalise the targets"
            )
