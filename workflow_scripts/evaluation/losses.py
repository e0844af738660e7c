"""Downstream loss, probabilities and validation scores, the same for every head and scenario."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.statistics.metrics import AREAS, areas_of_classes


def downstream_loss(task: Task, logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean loss of each trial, (trials,), from logits and labels (trials, batch, classes).

    multiclass: cross-entropy, mean over clips. multilabel: binary cross-entropy, mean over observed entries (NaN labels
    are ignored, because unobserved is not negative); 0 if nothing is observed.
    """
    if task == "multiclass":
        return -(F.log_softmax(logits, dim=-1) * labels).sum(dim=-1).mean(dim=-1)
    losses, observed = _binary_losses(logits, labels)
    return losses.sum(dim=(-2, -1)) / observed.sum(dim=(-2, -1)).clamp(min=1)


def class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean loss of each class of a multi-label data set in each trial, (trials, classes).

    It is the mean of the binary cross-entropy over the class's observed entries; 0 if there are none.
    """
    losses, observed = _binary_losses(logits, labels)
    return losses.sum(dim=-2) / observed.sum(dim=-2).clamp(min=1)


def _binary_losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the binary cross-entropy of each entry, 0 where it is not observed, and whether it is."""
    observed = ~torch.isnan(labels)
    # softmax over (0, logit), which torch computes row by row: on a CPU, the last bit of a sigmoid depends on the
    # position in the tensor, so the result of a trial would depend on the number of trials in the stack
    log_no, log_yes = F.log_softmax(torch.stack([torch.zeros_like(logits), logits], dim=-1), dim=-1).unbind(dim=-1)
    return torch.where(observed, -torch.where(labels > 0, log_yes, log_no), 0.0), observed


def probabilities(task: Task, logits: Tensor) -> Tensor:
    """Convert logits to scores in [0, 1] of the same shape (..., classes)."""
    return logits.softmax(dim=-1) if task == "multiclass" else logits.sigmoid()


def validation_scores(task: Task, logits: Tensor, labels: Tensor) -> tuple[float, ...]:
    """Compute ROC-AUC and PR-AUC, means over the classes that have both labels, from (clips, classes).

    NaN if no class has.
    """
    scores = areas_of_classes(labels.cpu().numpy(), probabilities(task, logits).cpu().numpy())
    return tuple(scores[name] for name in AREAS)
