"""Optimisers of downstream training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch.optim import Optimizer

from workflow_scripts.networks import eager_optimizers


def build_optimizer(
    name: Literal["adam", "sgd"], groups: Sequence[dict[str, Any]], *, weight_decay: float
) -> Optimizer:
    """Build an optimiser of groups of parameters (`params`), each with its learning rate (`lr`)."""
    optimizer = eager_optimizers.Adam if name == "adam" else eager_optimizers.SGD
    return optimizer(groups, weight_decay=weight_decay)
