"""torch's optimisers without its compiler, which their first step loads: that takes longer than a frozen evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

#: methods that torch wraps so that the compiler passes over them
WRAPPED = ("add_param_group", "zero_grad", "step", "state_dict", "load_state_dict")


def without_compiler(optimizer: type[Optimizer]) -> Callable[..., Optimizer]:
    """Return the same optimiser without the wrappers of its methods; its steps are the same to the bit."""
    methods: dict[str, Callable[..., Any]] = {name: inspect.unwrap(getattr(optimizer, name)) for name in WRAPPED}
    methods["step"] = torch.no_grad()(methods["step"])  # as its wrapper does
    return type(optimizer.__name__, (optimizer,), methods)


Adam, SGD = without_compiler(torch.optim.Adam), without_compiler(torch.optim.SGD)
