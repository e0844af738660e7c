"""Worker L: regression of the log power spectrum (Wu et al. 2021, section 3.2).

The paper states neither scale nor floor: its definition here is decibels of power with a floor of 1e-10.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from workflow_scripts.features.frames import HOP
from workflow_scripts.workers._feature_options import DefinedOptions

if TYPE_CHECKING:
    from workflow_scripts.workers._feature_regression import FeatureWorker

LABEL = "LPS"
PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: a target for each of the encoder's frames
CHANNELS = 1025  # bins of a 2048-point transform


class Options(DefinedOptions):
    """Options of every feature worker, and the target's definition and deltas."""


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker for an encoder with `embedding_size` channels."""
    from workflow_scripts.workers import _feature_targets
    from workflow_scripts.workers._feature_regression import FeatureWorker

    return FeatureWorker(
        channels=CHANNELS * (1 + options.deltas),
        target=functools.partial(_feature_targets.log_power_spectrum, options=options),
        options=options,
        embedding_size=embedding_size,
    )
