"""Encoder and head learn together, the encoder from its pre-trained weights (Wu et al. 2.2 and 3.4)."""

from __future__ import annotations

from workflow_scripts.evaluation.end_to_end import train_trials
from workflow_scripts.evaluation.task import EvaluationTask, TrialResult

PRETRAINED = True
TRAINS_ENCODER = True


def run(cell: EvaluationTask) -> list[TrialResult]:
    """One result per trial; every trial starts from the same checkpoint."""
    return train_trials(cell)
