"""Contrastive worker: tell which two views are of the same clip (Spijkervet 2021, sections 3.2 to 3.5).

Two pieces of each clip, augmented apart, are pulled together and pushed away from the pieces of all other clips in the
batch, over all processes. The encoder hears both views in one batch, so batch normalisation sees both; the CLMR code
passes them through one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.interfaces import Batch, Worker
from workflow_scripts.pretraining import distributed

PRECOMPUTED = False
VIEWS = 2  # pieces of each clip in a batch


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the contrastive worker.

    `projector`: `nonlinear` (two layers with ReLU between), `linear` or `identity` (thesis, section 3.4). `size`: its
    outputs, which the thesis does not give: 128 in the code of its time, 64 in the later code. The former also
    normalises them, which changes nothing, since the loss compares directions. `temperature`: divides the cosine
    similarities (default of the code; thesis, Table 6.6).
    """

    projector: Literal["nonlinear", "linear", "identity"] = "nonlinear"
    size: int = 128
    temperature: float = 0.5

    def __post_init__(self) -> None:
        """Raise `UserError` for values that make no task."""
        if self.projector not in ("nonlinear", "linear", "identity"):
            raise UserError(f"contrastive: projector must be nonlinear, linear or identity, not {self.projector!r}")
        if self.size < 1 or not 0 < self.temperature < math.inf:
            raise UserError(f"contrastive needs size >= 1 and temperature > 0, not {self.size} and {self.temperature}")


class ContrastiveWorker(Worker):
    """Compares the mean over time of each view's frames, projected."""

    def __init__(self, options: Options, *, embedding_size: int) -> None:
        """Build the projector, with the CLMR code's key names."""
        super().__init__()
        self.temperature = options.temperature
        self.projector = _projector(options, inputs=embedding_size)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """NT-Xent loss of the batch's pairs; `frames` hold the first view of each clip, then the second."""
        assert batch.views == VIEWS, "a contrastive batch holds two views of each clip"
        first, second = self.projector(frames.mean(dim=-1)).chunk(VIEWS)
        return nt_xent(first, second, temperature=self.temperature)


def nt_xent(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Mean over both views of -log(exp(s_pair) / sum over all others of exp(s)), s = cosine / temperature.

    SimCLR's normalised, temperature-scaled cross-entropy (thesis, equation 2.3; equation 3.2 prints a sum over all
    pairs, but only the positive ones have a numerator). `first` and `second` (clips, size) are two views of the same
    clips. In several processes the others are all their examples, and the mean of the processes' losses is the loss of
    the joint batch.
    """
    with torch.autocast(first.device.type, enabled=False):
        views = [functional.normalize(view.float(), dim=-1) for view in (first, second)]
        every = torch.cat([distributed.all_gather(view) for view in views])
        own = distributed.rank() * len(first) + torch.arange(len(first), device=first.device)
        clips = len(every) // VIEWS
        places, partners = torch.cat([own, own + clips]), torch.cat([own + clips, own])
        similarities = torch.cat(views) @ every.T / temperature
        alike = functional.one_hot(places, len(every)).bool()
        return functional.cross_entropy(similarities.masked_fill(alike, -torch.inf), partners)


def _projector(options: Options, *, inputs: int) -> nn.Module:
    if options.projector == "identity":
        return nn.Identity()
    if options.projector == "linear":
        return nn.Linear(inputs, options.size, bias=False)
    return nn.Sequential(nn.Linear(inputs, inputs, bias=False), nn.ReLU(), nn.Linear(inputs, options.size, bias=False))


def build(options: Options, *, embedding_size: int) -> ContrastiveWorker:
    """Build the worker."""
    return ContrastiveWorker(options, embedding_size=embedding_size)
