"""Re-weighted: reciprocals of the mean validation losses of an equally weighted run (Wu et al. 2021, section 3.3).

"taking the validation losses per worker of the first 10 epochs from equal weighted training, averaging the loss per
worker, taking the reciprocal as the new weights". The weights are not rescaled: the paper does not say so, and to Adam
a common factor hardly matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from torch import Tensor

LABEL = "re-weighted"
WEIGHTS_SOURCE = "equal"  # the weighting of the run whose losses give the weights


class Options(LevelOptions):
    """Options of the re-weighting."""

    epochs: int = Field(default=10, ge=1)
    """Number of first epochs of the equally weighted run whose losses are averaged (the paper's 10)."""


def weights(losses: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the weight of each worker from its validation losses, one an epoch."""
    means = {worker: fmean(values) for worker, values in losses.items()}
    return {worker: 1 / mean if mean else float("inf") for worker, mean in means.items()}


def weigh(losses: dict[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum the losses, each times its weight."""
    import torch

    return torch.stack([weights[worker] * loss for worker, loss in losses.items()]).sum()
