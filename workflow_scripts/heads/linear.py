"""One fully connected layer on the clip's embedding.

Wu et al. 3.4: "followed by 1 fully connected layer"; their "simple MLP" has no hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.networks.head_interfaces import Head, stacked_uniform

READS = "embedding"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the linear head.

    standardise: scale frozen embeddings to mean 0 and deviation 1 over the training split (all of it, whatever the
    fraction: no label is used), the same rule for every encoder. The paper is silent; without it one learning rate
    cannot serve both a trained encoder and the handcrafted floor, whose channels differ in scale by several powers of
    ten, and the floor would look weaker than it is.
    """

    standardise: bool = True


class Linear(Head):
    """Logits = inputs W + b, initialised as torch.nn.Linear is: uniform within 1 / sqrt(inputs)."""

    def __init__(self, *, inputs: int, outputs: int, standardise: bool) -> None:
        """Remember the sizes."""
        self.inputs, self.outputs, self.standardise = inputs, outputs, standardise

    def initial(self, generators: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """Return weight (trials, inputs, outputs) and bias (trials, 1, outputs)."""
        bound = self.inputs**-0.5
        weight = stacked_uniform(generators, self.inputs, self.outputs, bound=bound)
        return {"weight": weight, "bias": stacked_uniform(generators, 1, self.outputs, bound=bound)}

    def apply(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Logits (trials, batch, outputs)."""
        return torch.baddbmm(parameters["bias"], inputs, parameters["weight"])


def build(options: Options, *, inputs: int, outputs: int) -> Head:
    """Linear head from `inputs` embedding values to `outputs` classes."""
    return Linear(inputs=inputs, outputs=outputs, standardise=options.standardise)
