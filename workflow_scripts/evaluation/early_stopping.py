"""Early stopping on the validation loss."""

from __future__ import annotations

import math

from workflow_scripts.core.errors import UserError


class EarlyStopping:
    """Early stopping of one trial after `patience` epochs without a lower validation loss (Wu et al. 3.4: 10)."""

    def __init__(self, *, patience: int, trial: int) -> None:
        """Start before the first epoch."""
        self.patience, self.trial = patience, trial
        self.best = math.inf
        self.epochs = 0
        self.best_epoch = 0
        self.phase_start = 0

    @property
    def should_stop(self) -> bool:
        """Whether the patience is exhausted."""
        return self.epochs - max(self.best_epoch, self.phase_start) >= self.patience

    def start_phase(self) -> None:
        """Reset the patience counter."""
        self.phase_start = self.epochs

    def update(self, loss: float) -> bool:
        """Count an epoch and return whether its validation loss is the lowest so far; `UserError` if not finite."""
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
