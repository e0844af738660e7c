"""Encoder and head learn together from scratch, the first weights drawn anew in every trial (Wu et al. 2.2 and 3.4)."""

from __future__ import annotations

from workflow_scripts.training.cells import Cell, TrialResult
from workflow_scripts.training.finetuning import train_with_encoder

PRETRAINED = False
TRAINS_ENCODER = True


def run(cell: Cell) -> list[TrialResult]:
    """One result per trial."""
    return train_with_encoder(cell)
