"""Optimisers take torch's steps to the bit, and load no compiler for them."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from workflow_scripts.networks import eager_optimizers

PAIRS = {"adam": (eager_optimizers.Adam, torch.optim.Adam), "sgd": (eager_optimizers.SGD, torch.optim.SGD)}


def build(optimizer: type[torch.optim.Optimizer]) -> tuple[nn.Linear, torch.optim.Optimizer]:
    """Build a network and an optimiser of its weights and biases, with rates of their own."""
    torch.manual_seed(0)
    network = nn.Linear(5, 3)
    groups = [{"params": [network.weight], "lr": 0.1}, {"params": [network.bias], "lr": 0.01}]
    return network, optimizer(groups, weight_decay=0.001)


def train(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Take three steps on the same data, the last from a stored state; return the parameters."""
    audio = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    for step in range(3):
        if step == 2:
            optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
        network(audio).square().mean().backward()
        optimizer.step()
    return [parameter.detach() for parameter in network.parameters()]


@pytest.mark.parametrize("name", PAIRS)
def test_steps_equal_those_of_torch_to_the_bit(name: str) -> None:
    trained, expected = (train(*build(optimizer)) for optimizer in PAIRS[name])
    assert all(torch.equal(one, other) for one, other in zip(trained, expected, strict=True))


@pytest.mark.parametrize("name", PAIRS)
def test_no_step_loads_the_compiler(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # its import fails
    ours, reference = PAIRS[name]
    with pytest.raises(ImportError, match=r"torch\._dynamo"):
        train(*build(reference))
    assert train(*build(ours))
