"""One learned weight for each layer of a transformer, then one fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.networks.head_interfaces import Head
from workflow_scripts.networks.linear_head import LinearHead


class WeightedLayersHead(Head):
    """A linear head on the mean of the layers by the softmax of their weights, which are equal at the start."""

    def __init__(self, *, layers: int, inputs: int, outputs: int, standardise: bool) -> None:
        """Keep the number of layers, of which `inputs` has equally many values each, and build the linear head."""
        self.layers, self.standardise = layers, standardise
        self.linear = LinearHead(inputs=inputs // layers, outputs=outputs, standardise=standardise)

    def initial(self, generators: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """Return layer_weight (trials, layers, 1), zeros, and the parameters of the linear head."""
        return {"layer_weight": torch.zeros(len(generators), self.layers, 1), **self.linear.initial(generators)}

    def apply(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Compute logits (trials, batch, outputs)."""
        weights = parameters["layer_weight"].softmax(dim=1)[:, None]
        return self.linear.apply(parameters, (inputs.unflatten(-1, (self.layers, -1)) * weights).sum(dim=2))
