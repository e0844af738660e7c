"""Heads of trials: their initial values, and one trial's head as a module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.networks.head_interfaces import Head


def initial_parameters(head: Head, numbers: Sequence[int]) -> dict[str, Tensor]:
    """First values of the head for these trials; they depend on the trial, the inputs and the outputs only."""
    return head.initial([trial_seeds.make_rng("head", trial) for trial in numbers])


class TrialHead(nn.Module):
    """One trial's head as a module, for scenarios that train it together with the encoder."""

    def __init__(self, head: Head, *, trial: int) -> None:
        """Start from the values that the batched trainer gives the same trial."""
        super().__init__()
        self.head = head
        self.values = nn.ParameterDict(initial_parameters(head, [trial]))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (batch, outputs) for embeddings (batch, inputs)."""
        return self.head.apply(dict(self.values.items()), embeddings[None])[0]
