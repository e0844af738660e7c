"""Equal weighting: the plain sum of the workers' losses (Wu et al. 2021, section 3.3; the PASE code)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from torch import Tensor

LABEL = "equal"
WEIGHTS_SOURCE = None  # the weights come from no other run


class Options(LevelOptions):
    """No options."""


def weigh(losses: dict[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Sum the losses, whatever the weights."""
    import torch

    return torch.stack(list(losses.values())).sum()
