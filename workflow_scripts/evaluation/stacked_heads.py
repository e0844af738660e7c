"""Simultaneous training of the heads of all trials on precomputed embeddings.

The parameters of all trials are stacked and updated by one optimiser. Trials never mix: each has its own label subset,
order of mini-batches and early stopping, so a trial trained in a stack equals the same trial trained alone. Nor do
learning rates or binary classifiers mix: there is a stack for each rate, and a classifier stops by its own loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.evaluation.crops import Crops, average_predictions
from workflow_scripts.evaluation.early_stopping import DivergenceError, EarlyStopping, validation_curve
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.evaluation.losses import class_losses, downstream_loss, validation_scores
from workflow_scripts.evaluation.optimizers import build_optimizer
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
    """Parameters of the best epoch of each trial, (trials, ...), and numbers of each trial."""

    parameters: dict[str, Tensor]
    epochs: list[int]
    learning_rates: list[float]
    validation_losses: list[float]  # at the epochs that were kept
    validation: list[np.ndarray]  # of each epoch, as `validation_curve` has it


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
    validation averages over all crops. All candidates for the learning rate see the same examples in the same order,
    and each trial takes its best.

    Raises `DivergenceError` when the validation loss of a trial is finite at none of them.
    """
    stacks = [Stack(head, data, trials=trials, rate=rate, settings=settings) for rate in settings.candidates]
    optimizer = build_optimizer(
        settings.optimiser,
        [{"params": [*stack.values.values()], "lr": stack.rate} for stack in stacks],
        weight_decay=settings.weight_decay,
    )
    validation = ClipBatch(data, valid)
    for epoch in range(settings.max_epochs):
        # shuffle the clips of each trial, and draw one crop of each
        drawn = [subset.draw(trial=trial, epoch=epoch) for subset, trial in zip(train, trials, strict=True)]
        clips = [subset.rows for subset in drawn]
        crops = [
            data.crops.sample(subset.rows, trial_seeds.make_rng("crop", trial, epoch), numbers=subset.segments)
            for subset, trial in zip(drawn, trials, strict=True)
        ]
        # update the heads of all trials with each mini-batch
        running = [stack for stack in stacks if not stack.should_stop]
        batches = (_split_batches(rows, settings, data) for rows in (clips, crops))
        for clip_batch, crop_batch in zip(*batches, strict=True):
            inputs, labels = data.embeddings[crop_batch], data.labels[clip_batch]
            optimizer.zero_grad()
            # the gradient of the sum holds the gradient of each head separately
            torch.stack([stack.loss(inputs, labels) for stack in running]).sum().backward()
            optimizer.step()
        # keep the best epoch of each trial, until all have stopped
        for stack in running:
            stack.validate(validation)
        _require_finite(stacks)
        if all(stack.should_stop for stack in stacks):
            break
    return _choose_rates(stacks)


class ClipBatch:
    """Embeddings of the crops of some clips, and the clips' labels."""

    def __init__(self, data: LabelledEmbeddings, clips: np.ndarray) -> None:
        """Gather them."""
        self.task, self.crops = data.task, data.crops.select(clips)
        self.embeddings = data.embeddings[torch.from_numpy(data.crops.rows(clips)).to(data.embeddings.device)][None]
        self.labels = data.labels[torch.from_numpy(clips).to(data.labels.device)]


class Stack:
    """Heads of all trials that learn at one rate, one for each class where classifiers are binary."""

    def __init__(
        self,
        head: Head,
        data: LabelledEmbeddings,
        *,
        trials: Sequence[int],
        rate: float,
        settings: EvaluationProtocol,
    ) -> None:
        """Draw the initial parameters."""
        self.head, self.task, self.rate, self.criterion = head, data.task, rate, settings.criterion
        self.is_binary = settings.classifiers == "binary" and head.separable and data.task == "multilabel"
        initial = {name: value.to(data.embeddings.device) for name, value in initial_parameters(head, trials).items()}
        self.best = {name: value.clone() for name, value in initial.items()}
        self.values = {name: value.requires_grad_() for name, value in initial.items()}
        classifiers = data.labels.shape[1] if self.is_binary else 1
        self.stoppings = [
            [EarlyStopping(patience=settings.patience, trial=trial) for _ in range(classifiers)] for trial in trials
        ]
        self.failures: dict[int, DivergenceError] = {}  # by the places of trials

    @property
    def should_stop(self) -> bool:
        """Whether all trials have stopped."""
        return all(map(self._has_stopped, range(len(self.stoppings))))

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Compute the sum of the losses of all heads on a mini-batch of each trial."""
        logits = self.head.apply(self.values, inputs)
        losses = class_losses(logits, labels) if self.is_binary else downstream_loss(self.task, logits, labels)
        return losses.sum()

    def validate(self, clips: ClipBatch) -> None:
        """Keep the parameters of the classifiers that have improved.

        Stopped trials are skipped: their parameters go on changing, but their best ones are kept.
        """
        running = [index for index in range(len(self.stoppings)) if not self._has_stopped(index)]
        logits = _predict(self.head, self.values, clips.embeddings, clips.crops, task=self.task, indices=running)
        for index, trial_logits in zip(running, logits, strict=True):
            try:
                improved = self._improved(index, trial_logits, clips)
            except DivergenceError as error:
                self.failures[index] = error
                continue
            for name, value in self.values.items() if any(improved) else ():
                chosen = torch.tensor(improved, device=value.device)  # the last axis is that of classes if binary
                self.best[name][index] = torch.where(chosen, value.detach()[index], self.best[name][index])

    def kept_loss(self, index: int) -> float:
        """Return the validation loss of a trial's best epoch; of binary classifiers, the mean of theirs.

        It is infinite if the trial has failed.
        """
        return math.inf if index in self.failures else fmean(stopping.kept_loss for stopping in self.stoppings[index])

    def epochs(self, index: int) -> int:
        """Return the epochs of a trial; of binary classifiers, those of the last to stop."""
        return max(stopping.epochs for stopping in self.stoppings[index])

    def _has_stopped(self, index: int) -> bool:
        return index in self.failures or all(stopping.should_stop for stopping in self.stoppings[index])

    def _improved(self, index: int, logits: Tensor, clips: ClipBatch) -> list[bool]:
        """Count an epoch of each classifier of a trial that still runs, and return which have improved."""
        labels = clips.labels[None]
        if self.is_binary:
            losses = class_losses(logits[None], labels)[0].tolist()
        else:
            losses = downstream_loss(self.task, logits[None], labels).tolist()
        scores = validation_scores(self.task, logits, clips.labels) if self.criterion == "scores" else ()
        return [
            not stopping.should_stop and stopping.update(loss, scores)
            for stopping, loss in zip(self.stoppings[index], losses, strict=True)
        ]


def _require_finite(stacks: Sequence[Stack]) -> None:
    """Raise `DivergenceError` if a trial has failed at every rate."""
    for index, error in stacks[-1].failures.items():
        if all(index in stack.failures for stack in stacks):
            raise error


def _choose_rates(stacks: Sequence[Stack]) -> TrainedHeads:
    """Return the heads of each trial at its rate of the lowest validation loss."""
    chosen = [min(stacks, key=lambda stack: stack.kept_loss(index)) for index in range(len(stacks[0].stoppings))]
    return TrainedHeads(
        parameters={
            name: torch.stack([stack.best[name][index] for index, stack in enumerate(chosen)])
            for name in stacks[0].best
        },
        epochs=[stack.epochs(index) for index, stack in enumerate(chosen)],
        learning_rates=[stack.rate for stack in chosen],
        validation_losses=[stack.kept_loss(index) for index, stack in enumerate(chosen)],
        validation=[validation_curve(stack.stoppings[index]) for index, stack in enumerate(chosen)],
    )


def _split_batches(
    rows: Sequence[np.ndarray], settings: EvaluationProtocol, data: LabelledEmbeddings
) -> Sequence[Tensor]:
    """Stack the rows of all trials and split them into mini-batches (trials, batch)."""
    return torch.from_numpy(np.stack(rows)).to(data.labels.device).split(settings.batch, dim=1)


def compute_logits(
    head: Head, values: dict[str, Tensor], data: LabelledEmbeddings, *, clips: np.ndarray, indices: Sequence[int]
) -> list[Tensor]:
    """Compute the logits (clips, classes) of these clips by the trials at `indices` of the stack, averaged over crops.

    Trials are computed one after the other, so the embeddings are not copied per trial and the result does not depend
    on the number of trials.
    """
    chosen = ClipBatch(data, clips)
    return _predict(head, values, chosen.embeddings, chosen.crops, task=data.task, indices=indices)


@torch.no_grad()
def _predict(
    head: Head, values: dict[str, Tensor], embeddings: Tensor, crops: Crops, *, task: Task, indices: Sequence[int]
) -> list[Tensor]:
    return [
        average_predictions(
            task, head.apply({name: value[index : index + 1] for name, value in values.items()}, embeddings)[0], crops
        )
        for index in indices
    ]
