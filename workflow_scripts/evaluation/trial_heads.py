"""Heads of trials: initial parameters, and the head of one trial as a module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.networks.head_interfaces import Head


def initial_parameters(head: Head, trials: Sequence[int]) -> dict[str, Tensor]:
    """Draw the initial parameters (trials, ...) of the head for these trials.

    They depend on the trial and on the numbers of inputs and outputs only.
    """
    return head.initial([trial_seeds.make_rng("head", trial) for trial in trials])


class TrialHead(nn.Module):
    """Head of one trial as a module, for scenarios that train it together with the encoder."""

    def __init__(self, head: Head, *, trial: int) -> None:
        """Start from the parameters that the same trial has in a stack of heads."""
        super().__init__()
        self.head = head
        self.values = nn.ParameterDict(initial_parameters(head, [trial]))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Compute logits (batch, outputs) of embeddings (batch, inputs)."""
        return self.head.apply(dict(self.values.items()), embeddings[None])[0]
