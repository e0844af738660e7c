"""Re-weighted: reciprocals of the mean validation losses of an equally weighted run (Wu et al. 2021, section 3.3).

"taking the validation losses per worker of the first 10 epochs from equal weighted training, averaging the loss per
worker, taking the reciprocal as the new weights". The weights are not rescaled: the paper does not say so, and to Adam
a common factor hardly matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError

WEIGHED_BY = "equal"  # the weighting of the run whose losses give the weights


@dataclass(frozen=True, kw_only=True)
class Options:
    """`epochs`: how many first epochs of the equally weighted run are averaged (the paper's 10)."""

    epochs: int = 10

    def __post_init__(self) -> None:
        """Raise `UserError` for no epochs."""
        if self.epochs < 1:
            raise UserError(f"reweighted needs epochs >= 1, not {self.epochs}")


def weights(losses: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Weight of each worker from its validation losses, one an epoch."""
    means = {worker: fmean(values) for worker, values in losses.items()}
    return {worker: 1 / mean if mean else float("inf") for worker, mean in means.items()}


def weigh(losses: dict[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum of the losses, each times its weight."""
    return torch.stack([weights[worker] * loss for worker, loss in losses.items()]).sum()
