"""Training the heads of all trials at once on embeddings that are computed already.

The parameters of the trials are stacked and one optimiser moves them all. Trials never mix: each has its own label
subset, its own order of mini-batches and its own early stopping, so that a trial trained in a stack equals the same
trial trained alone.
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
from workflow_scripts.evaluation.losses import downstream_loss
from workflow_scripts.evaluation.trial_heads import initial_parameters
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.networks.head_interfaces import Head


@dataclass(frozen=True, kw_only=True)
class LabelledEmbeddings:
    """Embeddings of crops (crops, size) and labels (clips, classes; NaN = unobserved), float32 on the training device.

    `crops` tells which crops are whose.
    """

    embeddings: Tensor
    labels: Tensor
    task: Task
    crops: Crops


@dataclass(frozen=True, kw_only=True)
class TrainedHeads:
    """Parameters of each trial's best epoch, (trials, ...), and the number of epochs each trial ran."""

    parameters: dict[str, Tensor]
    epochs: list[int]


def train_heads(
    head: Head,
    data: LabelledEmbeddings,
    *,
    numbers: Sequence[int],
    train: Sequence[np.ndarray],
    valid: np.ndarray,
    settings: EvaluationProtocol,
) -> TrainedHeads:
    """Train one head per trial of `numbers`, on its rows of `train` (equally many for each trial), watching the rows
    `valid`.

    An epoch sees one crop of each clip, drawn anew for each trial; validation averages over all of them.

    Raises `UserError` when the validation loss of a trial that still runs is not finite.
    """
    values = {name: value.to(data.embeddings.device) for name, value in initial_parameters(head, numbers).items()}
    best = {name: value.clone() for name, value in values.items()}
    optimiser = torch.optim.Adam([value.requires_grad_() for value in values.values()], lr=settings.learning_rate)
    watches = [EarlyStopping(patience=settings.patience, trial=trial) for trial in numbers]
    for epoch in range(settings.max_epochs):
        orders = [
            trial_seeds.shuffle_rows(rows, trial=trial, epoch=epoch) for rows, trial in zip(train, numbers, strict=True)
        ]
        heard = [
            data.crops.drawn(order, trial_seeds.make_rng("crop", trial, epoch))
            for order, trial in zip(orders, numbers, strict=True)
        ]
        for rows, crops in zip(*(_batches(each, settings, data) for each in (orders, heard)), strict=True):
            logits = head.apply(values, data.embeddings[crops])
            optimiser.zero_grad()
            losses = downstream_loss(data.task, logits, data.labels[rows])
            losses.sum().backward()  # gradients of a sum: each trial its own
            optimiser.step()
        for place in _places_improved(head, values, data, valid=valid, watches=watches):
            for name, value in values.items():
                best[name][place] = value.detach()[place]
        if all(watch.stopped for watch in watches):
            break
    return TrainedHeads(parameters=best, epochs=[watch.epochs for watch in watches])


def _batches(rows: Sequence[np.ndarray], settings: EvaluationProtocol, data: LabelledEmbeddings) -> Sequence[Tensor]:
    """Rows of each trial, stacked and cut into mini-batches (trials, batch)."""
    return torch.from_numpy(np.stack(rows)).to(data.labels.device).split(settings.batch, dim=1)


def _places_improved(
    head: Head, values: dict[str, Tensor], data: LabelledEmbeddings, *, valid: np.ndarray, watches: list[EarlyStopping]
) -> list[int]:
    """Places of the trials whose validation loss is their lowest so far.

    A stopped trial is looked at no more; that its parameters move on does not matter, for its best ones are kept.
    """
    running = [place for place, watch in enumerate(watches) if not watch.stopped]
    labels = data.labels[torch.from_numpy(valid).to(data.labels.device)][None]
    logits = compute_logits(head, values, data, clips=valid, places=running)
    losses = torch.cat([downstream_loss(data.task, one[None], labels) for one in logits]).tolist()
    return [place for place, loss in zip(running, losses, strict=True) if watches[place].improves(loss)]


@torch.no_grad()
def compute_logits(
    head: Head, values: dict[str, Tensor], data: LabelledEmbeddings, *, clips: np.ndarray, places: Sequence[int]
) -> list[Tensor]:
    """Logits (clips, classes) of these clips by the trials at these places of the stack, averaged over crops.

    One trial after the other: the embeddings are not copied per trial, and the result cannot depend on how many trials
    there are.
    """
    embeddings = data.embeddings[torch.from_numpy(data.crops.rows(clips)).to(data.embeddings.device)][None]
    crops = data.crops.of_clips(clips)
    return [
        average_predictions(
            data.task,
            head.apply({name: value[place : place + 1] for name, value in values.items()}, embeddings)[0],
            crops,
        )
        for place in places
    ]
