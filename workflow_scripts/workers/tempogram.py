"""Worker T: regression of the tempogram (Wu et al. 2021, section 3.2).

Targets are computed on the chunk that the encoder receives. A window is 3.84 s long, so in shorter chunks all frames
contain padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.features.frames import HOP
from workflow_scripts.workers._feature_options import FeatureOptions

if TYPE_CHECKING:
    from workflow_scripts.workers._feature_regression import FeatureWorker

LABEL = "tempogram"
PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: a target for each of the encoder's frames
CHANNELS = 384  # lags: librosa's default window


class Options(FeatureOptions):
    """Options of every feature worker."""


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker for an encoder with `embedding_size` channels."""
    from workflow_scripts.workers import _feature_targets
    from workflow_scripts.workers._feature_regression import FeatureWorker

    return FeatureWorker(
        channels=CHANNELS, target=_feature_targets.tempogram, options=options, embedding_size=embedding_size
    )
