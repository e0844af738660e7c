"""Encoder and head trained together, trial by trial."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from workflow_scripts.configuration.protocol import Phase
from workflow_scripts.core.progress import track
from workflow_scripts.evaluation.early_stopping import EarlyStopping
from workflow_scripts.evaluation.task import EvaluationTask, TrialResult
from workflow_scripts.evaluation.trial_models import TrialModel, build_model


def train_trials(
    cell: EvaluationTask, *, train: Callable[[EvaluationTask, int], TrialResult] | None = None
) -> list[TrialResult]:
    """Train and test every trial; trials that an interrupted job finished are taken from its store.

    `train` does so with one trial; by default `train_trial`.
    """
    results = []
    for trial in track(range(cell.trials), description="trials", total=cell.trials):
        result = cell.finished.load(trial)
        if result is None:
            result = (train or train_trial)(cell, trial)
            cell.finished.store(result)
        results.append(result)
    return results


def train_trial(cell: EvaluationTask, trial: int) -> TrialResult:
    """Train encoder and head, and score the test split."""
    clock = time.monotonic()
    model = build_model(cell, trial)
    epochs = fit(model)
    return evaluate_model(model, epochs=epochs, clock=clock)


def fit(model: TrialModel) -> int:
    """Train until validation stops improving, leave the model at its best epoch, and return the number of epochs.

    One optimiser with one learning rate for encoder and head (Wu et al. 3.4: the same hyper-parameters in all
    scenarios), or the phases of the settings, each from the best weights so far. Batch normalisation learns while
    training and is fixed in evaluation. Training hears random crops, evaluation whole clips: the mean over time takes
    any length, or the encoder or the head is evaluated by crops of its own.
    """
    cell, settings = model.cell, model.cell.settings
    rows, valid = cell.train_rows(model.trial), cell.rows("valid")
    watch = EarlyStopping(patience=settings.patience, trial=model.trial)
    best: dict[str, Tensor] = {}
    for phase in settings.phases or (Phase(optimiser="adam", learning_rate=settings.learning_rate),):
        if best:
            model.load_state_dict(best)
        optimiser = _optimiser(phase, model)
        watch.start_phase()
        last = min(settings.max_epochs, watch.epochs + (phase.max_epochs or settings.max_epochs))
        while watch.epochs < last and not watch.stopped:
            model.train_epoch(optimiser, rows, epoch=watch.epochs)
            if watch.improves(model.validation_loss(valid)):
                best = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best)
    return watch.epochs


def evaluate_model(model: TrialModel, *, epochs: int, clock: float) -> TrialResult:
    """Score the test split with a trained model; `clock` is the monotonic time at which the trial began."""
    rows = model.cell.rows("test")
    return TrialResult(
        trial=model.trial,
        scores=model.scores(rows),
        epochs=epochs,
        train_clips=len(model.cell.train_rows(model.trial)),
        seconds=time.monotonic() - clock,
        windows=model.windows(rows) if model.trial == 0 else None,  # one trial shows how a head hears
    )


def _optimiser(phase: Phase, model: nn.Module) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if phase.optimiser == "adam" else torch.optim.SGD
    return kind(model.parameters(), lr=phase.learning_rate)
