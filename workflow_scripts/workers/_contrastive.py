"""Worker that compares two views of each clip by the NT-Xent loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.networks.interfaces import Batch, Worker
from workflow_scripts.pretraining import distributed
from workflow_scripts.workers.contrastive import VIEWS

Projector = Literal["nonlinear", "linear", "identity"]


class ContrastiveWorker(Worker):
    """Compares the mean over time of each view's frames, projected."""

    def __init__(self, *, projector: Projector, size: int, temperature: float, embedding_size: int) -> None:
        """Build a projector to `size` channels, with the CLMR code's key names."""
        super().__init__()
        self.temperature = temperature
        self.projector = _build_projector(projector, inputs=embedding_size, outputs=size)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Compute the NT-Xent loss of the batch; `frames` hold the first view of each clip, then the second."""
        assert batch.views == VIEWS, "a contrastive batch holds two views of each clip"
        first, second = self.projector(frames.mean(dim=-1)).chunk(VIEWS)
        return nt_xent(first, second, temperature=self.temperature)


def nt_xent(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Compute the mean over both views of -log(exp(s_pair) / sum over all others of exp(s)), s = cosine / temperature.

    SimCLR's normalised, temperature-scaled cross-entropy (thesis, equation 2.3; equation 3.2 prints a sum over all
    pairs, but only the positive ones have a numerator). `first` and `second` (clips, size) are two views of the same
    clips. In several processes the others are all their examples, and the mean of the processes' losses is the loss of
    the joint batch.
    """
    with torch.autocast(first.device.type, enabled=False):
        # unit vectors, so that dot products are cosines
        views = [functional.normalize(view.float(), dim=-1) for view in (first, second)]
        # (2 x clips of all processes, size): all first views, then all second views
        candidates = torch.cat([distributed.all_gather(view) for view in views])
        clips = len(candidates) // VIEWS
        # rows of this process's views among the candidates, and of the other view of each
        first_rows = distributed.rank() * len(first) + torch.arange(len(first), device=first.device)
        rows = torch.cat([first_rows, first_rows + clips])
        positives = torch.cat([first_rows + clips, first_rows])
        # s, without the similarity of a view to itself
        similarities = torch.cat(views) @ candidates.T / temperature
        itself = functional.one_hot(rows, len(candidates)).bool()
        return functional.cross_entropy(similarities.masked_fill(itself, -torch.inf), positives)


def _build_projector(projector: Projector, *, inputs: int, outputs: int) -> nn.Module:
    if projector == "identity":
        return nn.Identity()
    if projector == "linear":
        return nn.Linear(inputs, outputs, bias=False)
    return nn.Sequential(nn.Linear(inputs, inputs, bias=False), nn.ReLU(), nn.Linear(inputs, outputs, bias=False))
