"""Encoder and head learn together, the encoder from its pre-trained weights (Wu et al. 2.2 and 3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_scripts.evaluation.task import EvaluationTask, TrialResult

LABEL = "fine-tuned"
PRETRAINED = True
TRAINS_ENCODER = True


def run(cell: EvaluationTask) -> list[TrialResult]:
    """Return one result per trial; every trial starts from the same encoder file."""
    from workflow_scripts.evaluation.end_to_end import train_trials

    return train_trials(cell)
