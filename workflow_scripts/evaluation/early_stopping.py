"""Early stopping on the validation loss or the validation scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from workflow_scripts.core.errors import UserError


class DivergenceError(UserError):
    """A validation loss that is not finite; another learning rate may give one that is."""


class EarlyStopping:
    """Early stopping of one classifier after `patience` epochs without improvement.

    An epoch is an improvement if its validation loss is lower than in any before (Wu et al. 3.4: 10 epochs) or, where
    the epochs have scores, if one of these is higher than in any before (Spijkervet 2021, 5.3: 3 epochs).
    """

    def __init__(self, *, patience: int, trial: int) -> None:
        """Start before the first epoch."""
        self.patience, self.trial = patience, trial
        self.best: tuple[float, ...] = ()
        self.kept_loss = math.inf
        self.epochs = 0
        self.best_epoch = 0
        self.phase_start = 0
        self.history: list[tuple[float, ...]] = []  # loss and scores of each epoch

    @property
    def should_stop(self) -> bool:
        """Whether the patience is exhausted."""
        return self.epochs - max(self.best_epoch, self.phase_start) >= self.patience

    def start_phase(self) -> None:
        """Reset the patience counter."""
        self.phase_start = self.epochs

    def update(self, loss: float, scores: Sequence[float] = ()) -> bool:
        """Count an epoch and return whether it is an improvement.

        Raises `DivergenceError` if the loss is not finite, and `UserError` if a score is not.
        """
        self.epochs += 1
        if not math.isfinite(loss):
            raise DivergenceError(
                f"trial {self.trial}: the validation loss is {loss} after epoch {self.epochs}: "
                "lower the learning rates of its protocol, or look for values that are not finite in the encoder"
            )
        if any(map(math.isnan, scores)):
            raise UserError(
                f"trial {self.trial}: no class has validation clips with and without it, so there are no scores to "
                "stop by: set criterion: loss in the protocol"
            )
        self.history.append((loss, *scores))
        values = tuple(scores) or (-loss,)
        improved = not self.best or any(value > best for value, best in zip(values, self.best, strict=True))
        if improved:
            self.best = tuple(map(max, values, self.best or values))
            self.kept_loss, self.best_epoch = loss, self.epochs
        return improved


def validation_curve(classifiers: Sequence[EarlyStopping]) -> np.ndarray:
    """Return loss, share of the classifiers that keep it, and scores of each epoch of a trial, (epochs, values).

    Means over the classifiers, each of which has its last values after it stopped.
    """
    epochs = max(classifier.epochs for classifier in classifiers)
    curves = [
        np.pad(classifier.history, ((0, epochs - classifier.epochs), (0, 0)), mode="edge") for classifier in classifiers
    ]
    kept = [np.arange(1, epochs + 1) == classifier.best_epoch for classifier in classifiers]
    return np.insert(np.mean(curves, axis=0), 1, np.mean(kept, axis=0), axis=1).astype(np.float32)
