"""One fully connected layer on the clip's embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.networks.head_interfaces import Head, stacked_uniform


class LinearHead(Head):
    """Logits = inputs W + b, initialised as torch.nn.Linear is: uniform within 1 / sqrt(inputs)."""

    separable = True

    def __init__(self, *, inputs: int, outputs: int, standardise: bool) -> None:
        """Keep the numbers of inputs and outputs, and whether the inputs are standardised."""
        self.inputs, self.outputs, self.standardise = inputs, outputs, standardise

    def initial(self, generators: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """Return weight (trials, inputs, outputs) and bias (trials, 1, outputs)."""
        bound = self.inputs**-0.5
        weight = stacked_uniform(generators, self.inputs, self.outputs, bound=bound)
        return {"weight": weight, "bias": stacked_uniform(generators, 1, self.outputs, bound=bound)}

    def apply(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Compute logits (trials, batch, outputs)."""
        return torch.baddbmm(parameters["bias"], inputs, parameters["weight"])
