"""Layers of transformers: the embedding of a window from the output of one of them, or of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError

LayerChoice = int | Literal["weighted"]


def embed_layers(outputs: Sequence[Tensor], layer: LayerChoice, *, first: int = 0) -> Tensor:
    """Return the mean over the frames of a layer's output, or of each layer's, one after the other: (batch, values).

    `outputs` are (batch, frames, size), or maps (batch, size, ...), from layer number `first` on; a negative `layer`
    counts from the last. Raises `UserError` if there is no such layer, or if all have to be equally long and are not.
    """
    if layer == "weighted":
        means = [_mean(output) for output in outputs]
        if len({mean.shape for mean in means}) > 1:
            sizes = ", ".join(str(mean.shape[-1]) for mean in means)
            raise UserError(f"the network's layers have {sizes} values and cannot be weighted: choose one `layer`")
        return torch.cat(means, dim=-1)
    place = layer - first if layer >= 0 else len(outputs) + layer
    if not 0 <= place < len(outputs):
        raise UserError(
            f"the network has no layer {layer}: choose one of {first} to {first + len(outputs) - 1}, or weighted"
        )
    return _mean(outputs[place])


def _mean(output: Tensor) -> Tensor:
    """Return the mean over frames, or over the places of maps."""
    return output.mean(dim=1) if output.ndim == 3 else output.flatten(2).mean(dim=2)
