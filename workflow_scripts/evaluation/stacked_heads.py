"""Simultaneous training of the heads of all trials on precomputed embeddings.

The parameters of all trials are stacked and updated by one optimiser. Trials never mix: each has its own label subset,
order of mini-batches and early stopping, so a trial trained in a stack equals the same trial trained alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.evaluation.crops import Crops, average_predictions
from workflow_scripts.evaluation.early_stopping import EarlyStopping
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.evaluation.losses import downstream_loss
from workflow_scripts.evaluation.trial_heads import initial_parameters
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.networks.head_interfaces import Head


@dataclass(frozen=True, kw_only=True)
class LabelledEmbeddings:
    """Embeddings of crops (crops, size) and labels (clips, classes; NaN = unobserved), float32 on the training device.

    `crops` maps clips to the rows of their crops.
    """

    embeddings: Tensor
    labels: Tensor
    task: Task
    crops: Crops


@dataclass(frozen=True, kw_only=True)
class TrainedHeads:
    """Parameters of the best epoch of each trial, (trials, ...), and the number of epochs of each trial."""

    parameters: dict[str, Tensor]
    epochs: list[int]


def train_heads(
    head: Head,
    data: LabelledEmbeddings,
    *,
    trials: Sequence[int],
    train: Sequence[LabelSubset],
    valid: np.ndarray,
    settings: EvaluationProtocol,
) -> TrainedHeads:
    """Train one head per trial on its examples of `train` (equally many for each), validated on the clips `valid`.

    An epoch uses one crop of each clip, drawn anew for each trial, or the segments that the label subset draws;
    validation averages over all crops.

    Raises `UserError` when the validation loss of a running trial is not finite.
    """
    values = {name: value.to(data.embeddings.device) for name, value in initial_parameters(head, trials).items()}
    best = {name: value.clone() for name, value in values.items()}
    optimizer = torch.optim.Adam([value.requires_grad_() for value in values.values()], lr=settings.learning_rate)
    stoppings = [EarlyStopping(patience=settings.patience, trial=trial) for trial in trials]
    for epoch in range(settings.max_epochs):
        # shuffle the clips of each trial, and draw one crop of each
        drawn = [subset.draw(trial=trial, epoch=epoch) for subset, trial in zip(train, trials, strict=True)]
        clips = [subset.rows for subset in drawn]
        crops = [
            data.crops.sample(subset.rows, trial_seeds.make_rng("crop", trial, epoch), numbers=subset.segments)
            for subset, trial in zip(drawn, trials, strict=True)
        ]
        # update the heads of all trials with each mini-batch
        batches = (_split_batches(rows, settings, data) for rows in (clips, crops))
        for clip_batch, crop_batch in zip(*batches, strict=True):
            logits = head.apply(values, data.embeddings[crop_batch])
            optimizer.zero_grad()
            losses = downstream_loss(data.task, logits, data.labels[clip_batch])
            losses.sum().backward()  # the gradient of the sum holds the gradient of each trial separately
            optimizer.step()
        # keep the best epoch of each trial, until all have stopped
        for index in _validate(head, values, data, valid=valid, stoppings=stoppings):
            for name, value in values.items():
                best[name][index] = value.detach()[index]
        if all(stopping.should_stop for stopping in stoppings):
            break
    return TrainedHeads(parameters=best, epochs=[stopping.epochs for stopping in stoppings])


def _split_batches(
    rows: Sequence[np.ndarray], settings: EvaluationProtocol, data: LabelledEmbeddings
) -> Sequence[Tensor]:
    """Stack the rows of all trials and split them into mini-batches (trials, batch)."""
    return torch.from_numpy(np.stack(rows)).to(data.labels.device).split(settings.batch, dim=1)


def _validate(
    head: Head,
    values: dict[str, Tensor],
    data: LabelledEmbeddings,
    *,
    valid: np.ndarray,
    stoppings: list[EarlyStopping],
) -> list[int]:
    """Return the indices in the stack of the trials whose validation loss is their lowest so far.

    Stopped trials are skipped: their parameters go on changing, but their best ones are kept.
    """
    running = [index for index, stopping in enumerate(stoppings) if not stopping.should_stop]
    labels = data.labels[torch.from_numpy(valid).to(data.labels.device)][None]
    logits = compute_logits(head, values, data, clips=valid, indices=running)
    losses = torch.cat([downstream_loss(data.task, trial_logits[None], labels) for trial_logits in logits]).tolist()
    return [index for index, loss in zip(running, losses, strict=True) if stoppings[index].update(loss)]


@torch.no_grad()
def compute_logits(
    head: Head, values: dict[str, Tensor], data: LabelledEmbeddings, *, clips: np.ndarray, indices: Sequence[int]
) -> list[Tensor]:
    """Compute the logits (clips, classes) of these clips by the trials at `indices` of the stack, averaged over crops.

    Trials are computed one after the other, so the embeddings are not copied per trial and the result does not depend
    on the number of trials.
    """
    embeddings = data.embeddings[torch.from_numpy(data.crops.rows(clips)).to(data.embeddings.device)][None]
    crops = data.crops.select(clips)
    return [
        average_predictions(
            data.task,
            head.apply({name: value[index : index + 1] for name, value in values.items()}, embeddings)[0],
            crops,
        )
        for index in indices
    ]
