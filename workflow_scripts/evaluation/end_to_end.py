"""End-to-end training of encoder and head, trial by trial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.configuration.protocol import EvaluationProtocol, Phase
from workflow_scripts.core.progress import track
from workflow_scripts.evaluation.early_stopping import DivergenceError, EarlyStopping, validation_curve
from workflow_scripts.evaluation.optimizers import build_optimizer
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
            result = _choose_rate(cell, trial, train=train or train_trial)
            cell.store.save(result)
        results.append(result)
    return results


def _choose_rate(
    cell: EvaluationTask, trial: int, *, train: Callable[[EvaluationTask, int], TrialResult]
) -> TrialResult:
    """Train a trial at each candidate for the learning rate; return the result of the lowest validation loss.

    Its seconds are those of all. Raises `DivergenceError` if the loss is finite at none.
    """
    started = time.monotonic()
    results: list[TrialResult] = []
    for rate in cell.settings.candidates:
        try:
            results.append(train(replace(cell, settings=cell.settings.at_rate(rate)), trial))
        except DivergenceError:
            if not results and rate == cell.settings.candidates[-1]:
                raise
    best = min(results, key=lambda result: result.validation_loss)
    return replace(best, seconds=time.monotonic() - started)


def train_trial(cell: EvaluationTask, trial: int) -> TrialResult:
    """Train encoder and head of a trial, and score the test split."""
    started = time.monotonic()
    model = build_model(cell, trial)
    fit = train_model(model)
    return evaluate_model(model, fit, started=started)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Epochs of a training, the validation loss at the epoch that was kept, and the `validation_curve`."""

    epochs: int
    validation_loss: float
    validation: np.ndarray


def train_model(model: TrialModel) -> Fit:
    """Train until the validation stops improving, and restore the best epoch.

    Uses one optimiser for encoder and head, or the phases of the settings, each from the best weights so far. Both
    learn at one rate (Wu et al. 3.4: the same hyper-parameters in all scenarios) unless the encoder has its own. Batch
    normalisation updates its statistics in training and keeps them in evaluation. Training uses random crops,
    evaluation whole clips: the mean over time accepts any length, or the encoder or the head defines crops for
    evaluation.
    """
    cell, settings = model.cell, model.cell.settings
    train, valid = model.label_subset(), cell.rows("valid")
    stopping = EarlyStopping(patience=settings.patience, trial=model.trial)
    best: dict[str, Tensor] = {}
    for phase in settings.phases or (_single_phase(settings),):
        # start from the best weights so far, with a fresh optimiser and patience
        if best:
            model.load_state_dict(best)
        optimizer = _build_optimizer(phase, model)
        stopping.start_phase()
        last = min(settings.max_epochs, stopping.epochs + (phase.max_epochs or settings.max_epochs))
        while stopping.epochs < last and not stopping.should_stop:
            model.train_epoch(optimizer, train, epoch=stopping.epochs)
            # keep the weights of the best epoch
            if stopping.update(*model.validate(valid)):
                best = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best)
    return Fit(epochs=stopping.epochs, validation_loss=stopping.kept_loss, validation=validation_curve([stopping]))


def evaluate_model(model: TrialModel, fit: Fit, *, started: float) -> TrialResult:
    """Score the test split with a trained model; `started` is the monotonic time at which the trial began."""
    rows, settings = model.cell.rows("test"), model.cell.settings
    return TrialResult(
        trial=model.trial,
        scores=model.scores(rows),
        epochs=fit.epochs,
        train_clips=model.label_subset().clips,
        seconds=time.monotonic() - started,
        learning_rate=math.nan if settings.phases else settings.learning_rate,
        validation_loss=fit.validation_loss,
        validation=fit.validation,
        windows=model.windows(rows) if model.trial == 0 else None,  # one trial is enough for figures
        weights=model.weights() if model.trial == 0 and model.cell.keeps_first else None,
    )


def _single_phase(settings: EvaluationProtocol) -> Phase:
    """Return the phase of a training without phases."""
    return Phase(
        optimiser=settings.optimiser,
        learning_rate=settings.learning_rate,
        encoder_learning_rate=settings.encoder_learning_rate,
    )


def _build_optimizer(phase: Phase, model: TrialModel) -> torch.optim.Optimizer:
    """Build the optimiser of a phase, with a group of parameters for each learning rate."""
    if phase.encoder_learning_rate is None:
        groups = [{"params": [*model.parameters()], "lr": phase.learning_rate}]
    else:
        encoder = [*model.encoder.parameters()]
        known = set(map(id, encoder))
        head = [parameter for parameter in model.parameters() if id(parameter) not in known]
        groups = [
            {"params": encoder, "lr": phase.encoder_learning_rate},
            {"params": head, "lr": phase.learning_rate},
        ]
    return build_optimizer(phase.optimiser, groups, weight_decay=model.cell.settings.weight_decay)
