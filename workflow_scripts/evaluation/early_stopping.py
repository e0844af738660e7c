"""Early stopping on the validation loss."""

from __future__ import annotations

import math

from workflow_scripts.core.errors import UserError


class EarlyStopping:
    """Watches one trial: stops it after `patience` epochs in a row without a lower validation loss (Wu et al. 3.4:
    10).
    """

    def __init__(self, *, patience: int, trial: int) -> None:
        """Start with no epoch seen."""
        self.patience, self.trial = patience, trial
        self.best = math.inf
        self.epochs = 0
        self.best_epoch = 0
        self.start = 0

    @property
    def stopped(self) -> bool:
        """Whether the trial has run out of patience."""
        return self.epochs - max(self.best_epoch, self.start) >= self.patience

    def start_phase(self) -> None:
        """Be patient anew, from this epoch on."""
        self.start = self.epochs

    def improves(self, loss: float) -> bool:
        """Count an epoch; say whether its validation loss is the lowest so far. `UserError` if it is not finite."""
        self.epochs += 1
        if not math.isfinite(loss):
            raise UserError(
                f"trial {self.trial}: the validation loss is {loss} after epoch {self.epochs}: "
                "lower the learning_rate, or look for values that are not finite in the encoder"
            )
        if loss < self.best:
            self.best, self.best_epoch = loss, self.epochs
            return True
        return False
