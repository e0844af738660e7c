"""Worker C: regression of the chroma of the short-time Fourier transform (Wu et al. 2021, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.features.frames import HOP
from workflow_scripts.workers._feature_options import FeatureOptions

if TYPE_CHECKING:
    from workflow_scripts.workers._feature_regression import FeatureWorker

LABEL = "chroma"
PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: a target for each of the encoder's frames
CHANNELS = 12  # pitch classes


class Options(FeatureOptions):
    """Options of every feature worker."""


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker for an encoder with `embedding_size` channels."""
    from workflow_scripts.workers import _feature_targets
    from workflow_scripts.workers._feature_regression import FeatureWorker

    return FeatureWorker(
        channels=CHANNELS, target=_feature_targets.chroma, options=options, embedding_size=embedding_size
    )
