"""Precision and blocking of features: full precision in mixed-precision training, and blocks that fit the cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Tensor])
#: frames of 2048 float64 samples: 2 MB stay in a core's cache, two to three times faster than a whole batch
FRAMES_AT_ONCE = 128


def without_autocast(function: Function) -> Function:
    """Wrap `function` to run without gradients and outside autocast, whatever the caller's mode: targets are data."""

    @functools.wraps(function)
    def wrapper(*args: Tensor, **named: object) -> Tensor:
        tensors = [value for value in (*args, *named.values()) if isinstance(value, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        with torch.no_grad(), torch.autocast(device_type=device, enabled=False):
            return function(*args, **named)

    return wrapper  # type: ignore[return-value]


def widest_float(device: torch.device) -> torch.dtype:
    """Return the widest float type of `device`: float64, or float32 on Apple's GPUs, which have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def split_into_blocks(items: int, frames: int, *, device: torch.device) -> Iterator[tuple[slice, slice]]:
    """Yield slices of windows (items, frames, ...) to transform at once: all on an accelerator, a cacheful on a CPU."""
    if device.type != "cpu":
        yield slice(None), slice(None)
        return
    items_at_once = max(1, FRAMES_AT_ONCE // frames)
    for item in range(0, items, items_at_once):
        for frame in range(0, frames, FRAMES_AT_ONCE):
            yield slice(item, item + items_at_once), slice(frame, frame + FRAMES_AT_ONCE)
