"""The shapes of heads, which state what they read: READS = "embedding" or "maps".

On embeddings a head is a function of its parameters, so that many trials train as one stack. On the maps of a
separating network it is a module, for it normalises batches and drops.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.networks.maps import Maps


class Head(ABC):
    """Embedding to one logit per class. Every parameter has a leading trial axis; trials never mix."""

    standardise: bool  # whether frozen embeddings reach this head with mean 0 and deviation 1 over the training split

    @abstractmethod
    def initial(self, generators: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """Draw first values, one generator per trial: float32 tensors (trials, ...) whose entry k depends on generator
        k only.
        """

    @abstractmethod
    def apply(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Logits (trials, batch, outputs) for inputs (trials, batch, inputs); trial k sees entry k of the parameters
        only.
        """


class MapsHead(nn.Module, ABC):
    """Maps of windows of audio to one logit per class."""

    samples: int  # of a window
    hop: int  # samples from window to window where they lie side by side
    first_kernel: str  # name of the weights that meet the spectrogram's channels, of which a head alone has one

    @abstractmethod
    def forward(self, maps: Maps) -> Tensor:
        """Logits (batch, outputs)."""

    def take_over(self, alone: MapsHead) -> None:
        """Go on from all weights that the same head has learned without a separating network before it.

        The first kernel serves the separated sources as it does the mixture (the MSSPT code); what only this head has
        keeps its first values. Raises `UserError` where the two differ in more than what the network gives.
        """
        state = dict(alone.state_dict())
        state[self.first_kernel] = state[self.first_kernel].expand_as(self.state_dict()[self.first_kernel])
        self.load_state_dict(state, strict=False)


def stacked_uniform(generators: Sequence[np.random.Generator], *shape: int, bound: float) -> Tensor:
    """Uniform values in [-bound, bound], float32 (generators, *shape), drawn on the CPU: the same on every device."""
    draws = [generator.uniform(-bound, bound, shape) for generator in generators]
    return torch.from_numpy(np.stack(draws).astype(np.float32))
