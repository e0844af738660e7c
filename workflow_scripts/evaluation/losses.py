"""The downstream loss, the same for every head and scenario."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.levels.dataset_index import Task


def downstream_loss(task: Task, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean loss of each trial, (trials,), from logits and labels (trials, batch, classes).

    multiclass: cross-entropy, mean over clips. multilabel: binary cross-entropy, mean over observed entries (NaN labels
    count for nothing: unobserved is not negative); 0 if nothing is observed.
    """
    if task == "multiclass":
        return -(F.log_softmax(logits, dim=-1) * labels).sum(dim=-1).mean(dim=-1)
    observed = ~torch.isnan(labels)
    # as a softmax over (0, logit), which torch computes row by row: the sigmoid's last bit depends on the place in the
    # tensor on a CPU, and so a trial's result would depend on how many trials stand beside it
    no, yes = F.log_softmax(torch.stack([torch.zeros_like(logits), logits], dim=-1), dim=-1).unbind(dim=-1)
    losses = torch.where(observed, -torch.where(labels > 0, yes, no), 0.0)
    return losses.sum(dim=(-2, -1)) / observed.sum(dim=(-2, -1)).clamp(min=1)


def probabilities(task: Task, logits: Tensor) -> Tensor:
    """Scores in [0, 1] of the same shape (..., classes)."""
    return logits.softmax(dim=-1) if task == "multiclass" else logits.sigmoid()
