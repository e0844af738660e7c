"""Base classes of heads, by their input: an embedding, or the maps of a separation network.

On embeddings a head is a function of its parameters, so that many trials train as one stack. On maps it is a module,
since it has batch normalisation and dropout.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.networks.maps import Maps


class Head(ABC):
    """Function from an embedding to one logit per class. Every parameter has a leading trial axis; trials never mix."""

    separable: bool = False  # whether classes share no parameter: all have the classes as their last axis
    standardise: bool  # whether frozen embeddings reach this head with mean 0 and deviation 1 over the training split

    @abstractmethod
    def initial(self, generators: Sequence[np.random.Generator]) -> dict[str, Tensor]:
        """Draw initial values, one generator per trial: float32 tensors (trials, ...) whose entry k depends on
        generator k only.
        """

    @abstractmethod
    def apply(self, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Compute logits (trials, batch, outputs) for inputs (trials, batch, inputs); trial k uses entry k of the
        parameters only.
        """


class MapsHead(nn.Module, ABC):
    """Network from the maps of windows of audio to one logit per class."""

    samples: int  # of a window
    hop: int  # samples from window to window without overlap
    first_kernel: str  # name of the weights on the spectrogram's channels, of which a head alone has one

    @abstractmethod
    def forward(self, maps: Maps) -> Tensor:
        """Compute logits (batch, outputs)."""

    def initialise_from(self, alone: MapsHead) -> None:
        """Start from all weights that the same head has learned without a separation network before it.

        The first kernel is copied from the mixture to the separated sources (the MSSPT code); weights that only this
        head has keep their initial values. Raises `UserError` where the two differ in more than the network's output.
        """
        state = dict(alone.state_dict())
        state[self.first_kernel] = state[self.first_kernel].expand_as(self.state_dict()[self.first_kernel])
        self.load_state_dict(state, strict=False)


def stacked_uniform(generators: Sequence[np.random.Generator], *shape: int, bound: float) -> Tensor:
    """Draw uniform values in [-bound, bound], float32 (generators, *shape), on the CPU: the same on every device."""
    draws = [generator.uniform(-bound, bound, shape) for generator in generators]
    return torch.from_numpy(np.stack(draws).astype(np.float32))
