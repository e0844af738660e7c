"""Worker M: regression of the mel-frequency cepstral coefficients (Wu et al. 2021, section 3.2)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from workflow_scripts.features.frames import HOP
from workflow_scripts.workers._feature_options import DefinedOptions

if TYPE_CHECKING:
    from workflow_scripts.workers._feature_regression import FeatureWorker

LABEL = "MFCC"
PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: a target for each of the encoder's frames
CHANNELS = 20  # librosa's default, and that of workers.cfg


class Options(DefinedOptions):
    """Options of every feature worker, and the target's definition and deltas."""


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker for an encoder with `embedding_size` channels."""
    from workflow_scripts.workers import _feature_targets
    from workflow_scripts.workers._feature_regression import FeatureWorker

    return FeatureWorker(
        channels=CHANNELS * (1 + options.deltas),
        target=functools.partial(_feature_targets.mfcc, options=options),
        options=options,
        embedding_size=embedding_size,
    )
