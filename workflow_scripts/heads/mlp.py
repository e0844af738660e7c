"""One hidden layer with ReLU on the clip's embedding, then one fully connected layer.

The second head of CLMR (Spijkervet 2021, section 3.6; the CLMR code: 512 -> 512 -> classes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.heads import linear
from workflow_scripts.networks.head_interfaces import Head, stacked_uniform

READS = "embedding"


@dataclass(frozen=True, kw_only=True)
class Options(linear.Options):
    """Options of the linear head, and `hidden`: size of the hidden layer."""

    hidden: int = 512

    def __post_init__(self) -> None:
        """Raise `UserError` for a head that cannot be built."""
        if self.hidden < 1:
            raise UserError(f"mlp: hidden must be at least 1, not {self.hidden}")


class Mlp(Head):
    """Logits = relu(inputs V + a) W + b, both layers initialised as torch.nn.Linear is."""

    def __init__(self, *, inputs: int, hidden: int, outputs: int, standardise: bool) -> None:
        """Remember the sizes."""
        self.inputs, self.hidden, self.outputs, self.standardise = inputs, hidden, outputs, standardise

    def initial(self, generators: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """Return hidden_weight (trials, inputs, hidden), hidden_bias (trials, 1, hidden), weight (trials, hidden,
        outputs) and bias (trials, 1, outputs).
        """
        first, second = self.inputs**-0.5, self.hidden**-0.5
        return {
            "hidden_weight": stacked_uniform(generators, self.inputs, self.hidden, bound=first),
            "hidden_bias": stacked_uniform(generators, 1, self.hidden, bound=first),
            "weight": stacked_uniform(generators, self.hidden, self.outputs, bound=second),
            "bias": stacked_uniform(generators, 1, self.outputs, bound=second),
        }

    def apply(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Logits (trials, batch, outputs)."""
        hidden = torch.baddbmm(parameters["hidden_bias"], inputs, parameters["hidden_weight"]).relu()
        return torch.baddbmm(parameters["bias"], hidden, parameters["weight"])


def build(options: Options, *, inputs: int, outputs: int) -> Head:
    """Head from `inputs` embedding values to `outputs` classes."""
    return Mlp(inputs=inputs, hidden=options.hidden, outputs=outputs, standardise=options.standardise)
