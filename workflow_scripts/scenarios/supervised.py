"""Encoder and head learn together from scratch, with new initial weights in every trial (Wu et al. 2.2 and 3.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_scripts.evaluation.task import EvaluationTask, TrialResult
    from workflow_scripts.networks.interfaces import Encoder

LABEL = "supervised"
PRETRAINED = False
TRAINS_ENCODER = True


def run(cell: EvaluationTask) -> list[TrialResult]:
    """Return one result per trial."""
    from workflow_scripts.evaluation.end_to_end import train_trials

    return train_trials(replace(cell, build_encoder=lambda seed: _build_encoder(cell, seed)))


def _build_encoder(cell: EvaluationTask, seed: int) -> Encoder:
    """Build the encoder of a trial, ready to learn from labels alone."""
    assert cell.build_encoder is not None, "a scenario that trains the encoder needs one"
    encoder = cell.build_encoder(seed)
    encoder.start_supervised()
    return encoder
