"""Worker P: regress zero-crossing rate, energy, voicing and F0 (Wu et al. 2021, section 3.2).

pYIN is far too slow for the training loop, so the `extract` job computes the targets once, on whole clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from workflow_scripts.errors import UserError
from workflow_scripts.features import prosody
from workflow_scripts.training.regression import FeatureOptions, FeatureWorker
from workflow_scripts.training.shapes import Batch

PRECOMPUTED = True

SAMPLE_RATE = 16000  # Hz, of the encoders this worker trains
CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class Options(FeatureOptions):
    """The options of every feature worker, the range in which F0 is looked for, and its scale.

    The paper states no range; C2 to C7 covers voices and most melodies. `pitch`: `log` (PASE's own scale) or `hertz`.
    """

    lowest_hz: float = 65.40639132514966  # C2
    highest_hz: float = 2093.004522404789  # C7
    pitch: Literal["log", "hertz"] = "log"

    def __post_init__(self) -> None:
        """Raise `UserError` for an empty range."""
        super().__post_init__()
        if self.pitch not in ("log", "hertz"):
            raise UserError(f"prosody needs pitch log or hertz, not {self.pitch!r}")
        if not 0 < self.lowest_hz < self.highest_hz <= SAMPLE_RATE / 2:
            raise UserError(
                f"prosody needs 0 < lowest_hz < highest_hz <= {SAMPLE_RATE // 2}, "
                f"not {self.lowest_hz} and {self.highest_hz}"
            )


def extract(audio: np.ndarray, options: Options) -> np.ndarray:
    """Targets of one clip: (samples,) float32 to (4, 1 + samples // 160) float32."""
    return prosody.targets(
        audio,
        sample_rate=SAMPLE_RATE,
        lowest_hz=options.lowest_hz,
        highest_hz=options.highest_hz,
        pitch=options.pitch,
    )


def target(batch: Batch) -> Tensor:
    """Stored targets (batch, 4, frames) of these cuts."""
    return batch.precomputed["prosody"]


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker."""
    return FeatureWorker(channels=CHANNELS, target=target, options=options, embedding_size=embedding_size)
