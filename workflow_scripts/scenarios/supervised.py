"""Encoder and head learn together from scratch, the first weights drawn anew in every trial (Wu et al. 2.2 and 3.4)."""

from __future__ import annotations

from dataclasses import replace

from workflow_scripts.evaluation.end_to_end import train_trials
from workflow_scripts.evaluation.task import EvaluationTask, TrialResult
from workflow_scripts.networks.interfaces import Encoder

PRETRAINED = False
TRAINS_ENCODER = True


def run(cell: EvaluationTask) -> list[TrialResult]:
    """One result per trial."""
    return train_trials(replace(cell, build_encoder=lambda seed: _started(cell, seed)))


def _started(cell: EvaluationTask, seed: int) -> Encoder:
    assert cell.build_encoder is not None, "a scenario that trains the encoder needs one"
    encoder = cell.build_encoder(seed)
    encoder.start_supervised()
    return encoder
