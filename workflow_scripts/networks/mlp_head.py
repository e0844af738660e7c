"""One hidden layer with ReLU on the clip's embedding, then one fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.networks.head_interfaces import Head, stacked_uniform


class MlpHead(Head):
    """Logits = relu(inputs V + a) W + b, both layers initialised as torch.nn.Linear is."""

    def __init__(self, *, inputs: int, hidden: int, outputs: int, standardise: bool) -> None:
        """Keep the sizes of the layers, and whether the inputs are standardised."""
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
        """Compute logits (trials, batch, outputs)."""
        hidden = torch.baddbmm(parameters["hidden_bias"], inputs, parameters["hidden_weight"]).relu()
        return torch.baddbmm(parameters["bias"], hidden, parameters["weight"])
