"""The optimisers a recipe can name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from workflow_scripts.pretraining.recipe import Recipe

MOMENTUM = 0.9  # the SimCLR code's default, as is the next
TRUST = 0.001  # a step is this share of the tensor's size, times the learning rate


def build(recipe: Recipe, parameters: Iterable[nn.Parameter], *, rate: float) -> Optimizer:
    """Optimiser of the recipe, at a learning rate of `rate`."""
    if recipe.chosen_optimiser == "lars":
        return Lars(parameters, rate=rate, weight_decay=recipe.weight_decay, spare_vectors=recipe.lars_spares_vectors)
    return torch.optim.Adam(parameters, lr=rate, eps=recipe.adam_epsilon, weight_decay=recipe.weight_decay)


class Lars(Optimizer):
    """Layer-wise adaptive rates (You et al. 2017), as class `LARS` of the SimCLR code that CLMR uses.

    For each tensor w with gradient g: g += weight_decay w; v = 0.9 v + rate (0.001 |w| / |g|) g; w -= v. So a tensor
    that starts at zero stays zero, such as the biases of batch normalisation. The official code means to spare these,
    but does not; `spare_vectors` does: tensors of one axis get no decay and no factor, and learn.

    Where |g| is zero, or so small that the factor overflows, the official code fills the tensor with NaN; here such a
    gradient counts for nothing. That code also fails on a CPU; this one does not, and never waits for a GPU.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, rate: float, weight_decay: float = 0.0, spare_vectors: bool = False
    ) -> None:
        """Start with no velocity."""
        super().__init__(parameters, {"lr": rate, "weight_decay": weight_decay, "spare_vectors": spare_vectors})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all tensors that have a gradient."""
        assert closure is None, "the trainer has computed the gradients"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)

    def _move(self, parameter: nn.Parameter, group: dict[str, float]) -> None:
        spared = group["spare_vectors"] and parameter.ndim <= 1
        gradient = parameter.grad
        assert gradient is not None
        if not spared and group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * parameter
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        factor = 1.0 if spared else _trust(parameter, gradient)
        state["velocity"].mul_(MOMENTUM).add_(gradient * (group["lr"] * factor))
        parameter.sub_(state["velocity"])


def _trust(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Share of the tensor's size that a step is, over the size of the gradient."""
    factor = TRUST * torch.linalg.vector_norm(parameter) / torch.linalg.vector_norm(gradient)
    return factor.nan_to_num(nan=0.0, posinf=0.0)
