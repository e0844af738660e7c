"""Optimisers of downstream training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch


def build_optimizer(
    name: Literal["adam", "sgd"], groups: Sequence[dict[str, Any]], *, weight_decay: float
) -> torch.optim.Optimizer:
    """Build an optimiser of groups of parameters (`params`), each with its learning rate (`lr`)."""
    optimizer = torch.optim.Adam if name == "adam" else torch.optim.SGD
    return optimizer(groups, weight_decay=weight_decay)
