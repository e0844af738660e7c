"""The encoder stays as pre-training left it, batch normalisation included; only the head learns (Wu et al. 2.2 and
3.4).

Each clip is encoded once, by `embed`, whatever the number of trials, fractions and heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_scripts.evaluation.task import EvaluationTask, TrialResult

LABEL = "frozen"
PRETRAINED = True
TRAINS_ENCODER = False
HEAD_INPUT = "embedding"


def run(cell: EvaluationTask) -> list[TrialResult]:
    """Return one result per trial."""
    from workflow_scripts.evaluation.frozen import train_on_embeddings

    return train_on_embeddings(cell)
