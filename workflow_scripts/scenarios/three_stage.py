"""The head learns alone on the mixture, then with the pre-trained encoder (Garoufis et al. 2024, section 2).

Pre-training is the first stage. The two others have the same recipe, and a trial's epochs are those of both. With the
same heads `fine_tuned` is the scheme of two stages.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import magnitude

if TYPE_CHECKING:
    from workflow_scripts.evaluation.task import EvaluationTask, TrialResult

LABEL = "three stages"
PRETRAINED = True
TRAINS_ENCODER = True
HEAD_INPUT = "maps"
TRAININGS = 2  # of a trial, one after the other, each with all epochs that the settings allow


def run(cell: EvaluationTask) -> list[TrialResult]:
    """Return one result per trial; every trial starts from the same encoder file."""
    from workflow_scripts.evaluation.end_to_end import train_trials

    if cell.build_maps_head is None:
        raise UserError("scenario three_stage needs a head that reads maps, such as short_chunk_cnn or ast")
    return train_trials(cell, train=_train_trial)


def _train_trial(cell: EvaluationTask, trial: int) -> TrialResult:
    """Train and test one trial: the head alone, then head and encoder."""
    from workflow_scripts.evaluation.end_to_end import evaluate_model, train_model
    from workflow_scripts.evaluation.trial_models import MapsModel

    started = time.monotonic()
    # the head alone, on the spectrogram
    alone = MapsModel(replace(cell, build_encoder=lambda _: magnitude.build(magnitude.Options())), trial)
    first = train_model(alone)
    # both together, from these weights of the head
    joint = MapsModel(cell, trial)
    joint.head.initialise_from(alone.head)
    # a GPU need not hold both while the second learns
    del alone
    second = train_model(joint)
    both = replace(
        second,
        epochs=first.epochs + second.epochs,
        validation=np.concatenate([first.validation, second.validation]),
    )
    return evaluate_model(joint, both, started=started)
