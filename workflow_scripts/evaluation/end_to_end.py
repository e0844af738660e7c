"""End-to-end training of encoder and head, trial by trial."""

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
    """Train and test every trial; trials that an interrupted job finished are loaded from its store.

    `train` trains and tests a single trial; by default `train_trial`.
    """
    results = []
    for trial in track(range(cell.trials), description="trials", total=cell.trials):
        result = cell.store.load(trial)
        if result is None:
            result = (train or train_trial)(cell, trial)
            cell.store.save(result)
        results.append(result)
    return results


def train_trial(cell: EvaluationTask, trial: int) -> TrialResult:
    """Train encoder and head of a trial, and score the test split."""
    started = time.monotonic()
    model = build_model(cell, trial)
    epochs = fit(model)
    return evaluate_model(model, epochs=epochs, started=started)


def fit(model: TrialModel) -> int:
    """Train until the validation loss stops improving, restore the best epoch, and return the number of epochs.

    Uses one optimiser with one learning rate for encoder and head (Wu et al. 3.4: the same hyper-parameters in all
    scenarios), or the phases of the settings, each from the best weights so far. Batch normalisation updates its
    statistics in training and keeps them in evaluation. Training uses random crops, evaluation whole clips: the mean
    over time accepts any length, or the encoder or the head defines crops for evaluation.
    """
    cell, settings = model.cell, model.cell.settings
    train, valid = model.label_subset(), cell.rows("valid")
    stopping = EarlyStopping(patience=settings.patience, trial=model.trial)
    best: dict[str, Tensor] = {}
    for phase in settings.phases or (Phase(optimiser="adam", learning_rate=settings.learning_rate),):
        # start from the best weights so far, with a fresh optimiser and patience
        if best:
            model.load_state_dict(best)
        optimizer = _build_optimizer(phase, model)
        stopping.start_phase()
        last = min(settings.max_epochs, stopping.epochs + (phase.max_epochs or settings.max_epochs))
        while stopping.epochs < last and not stopping.should_stop:
            model.train_epoch(optimizer, train, epoch=stopping.epochs)
            # keep the weights of the best epoch
            if stopping.update(model.validation_loss(valid)):
                best = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best)
    return stopping.epochs


def evaluate_model(model: TrialModel, *, epochs: int, started: float) -> TrialResult:
    """Score the test split with a trained model; `started` is the monotonic time at which the trial began."""
    rows = model.cell.rows("test")
    return TrialResult(
        trial=model.trial,
        scores=model.scores(rows),
        epochs=epochs,
        train_clips=model.label_subset().clips,
        seconds=time.monotonic() - started,
        windows=model.windows(rows) if model.trial == 0 else None,  # one trial is enough for figures
        weights=model.weights() if model.trial == 0 and model.cell.keeps_first else None,
    )


def _build_optimizer(phase: Phase, model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.Adam if phase.optimiser == "adam" else torch.optim.SGD
    return optimizer(model.parameters(), lr=phase.learning_rate)
