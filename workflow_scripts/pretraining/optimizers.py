"""Optimisers of a recipe: Adam and LARS."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.networks import eager_optimizers

MOMENTUM = 0.9  # default of the SimCLR code
TRUST_COEFFICIENT = 0.001  # default of the SimCLR code: step length / parameter norm, at a learning rate of 1


def build(recipe: Recipe, parameters: Iterable[nn.Parameter], *, rate: float) -> Optimizer:
    """Build the optimiser of the recipe with a learning rate of `rate`."""
    if recipe.chosen_optimiser == "lars":
        return EagerLars(
            parameters, rate=rate, weight_decay=recipe.weight_decay, skip_vectors=recipe.lars_excludes_vectors
        )
    return eager_optimizers.Adam(parameters, lr=rate, eps=recipe.adam_epsilon, weight_decay=recipe.weight_decay)


class Lars(Optimizer):
    """Layer-wise adaptive rate scaling (You et al. 2017), as class `LARS` of the SimCLR code that CLMR uses.

    For each tensor w with gradient g: g += weight_decay w; v = 0.9 v + rate (0.001 |w| / |g|) g; w -= v. A tensor that
    starts at zero therefore stays zero, such as the biases of batch normalisation. The official code intends to exclude
    these, but does not; `skip_vectors` does: one-dimensional tensors get neither decay nor trust ratio, and learn.

    Where |g| is zero, or so small that the ratio overflows, the official code fills the tensor with NaN; here such a
    gradient has no effect. Unlike the official code, this one also runs on a CPU and never waits for a GPU.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, rate: float, weight_decay: float = 0.0, skip_vectors: bool = False
    ) -> None:
        """Start with zero velocity."""
        super().__init__(parameters, {"lr": rate, "weight_decay": weight_decay, "skip_vectors": skip_vectors})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        assert closure is None, "the trainer has computed the gradients"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: nn.Parameter, group: dict[str, float]) -> None:
        spared = group["skip_vectors"] and parameter.ndim <= 1
        gradient = parameter.grad
        assert gradient is not None
        # decay: g += weight_decay w
        if not spared and group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * parameter
        # velocity: v = 0.9 v + rate (0.001 |w| / |g|) g
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        factor = 1.0 if spared else _trust_ratio(parameter, gradient)
        state["velocity"].mul_(MOMENTUM).add_(gradient * (group["lr"] * factor))
        # update: w -= v
        parameter.sub_(state["velocity"])


EagerLars = eager_optimizers.without_compiler(Lars)


def _trust_ratio(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return 0.001 |w| / |g|, or 0 where it is not finite."""
    ratio = TRUST_COEFFICIENT * torch.linalg.vector_norm(parameter) / torch.linalg.vector_norm(gradient)
    return ratio.nan_to_num(nan=0.0, posinf=0.0)
