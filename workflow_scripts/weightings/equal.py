"""Equal weighting: the plain sum of the workers' losses (Wu et al. 2021, section 3.3; the PASE code)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

WEIGHED_BY = None  # the weights come from no other run


@dataclass(frozen=True, kw_only=True)
class Options:
    """No options."""


def weigh(losses: dict[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum the losses, whatever the weights."""
    return torch.stack(list(losses.values())).sum()
