"""Worker P: regression of zero-crossing rate, energy, voicing and F0 (Wu et al. 2021, section 3.2).

pYIN is far too slow for the training loop, so the `extract` job computes the targets once, on whole clips.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import model_validator

from workflow_scripts.features.frames import HOP
from workflow_scripts.workers._feature_options import DefinedOptions

if TYPE_CHECKING:
    from workflow_scripts.workers._feature_regression import FeatureWorker

LABEL = "prosody"
PRECOMPUTED = True
FRAME_EVERY = HOP  # samples: a target for each of the encoder's frames
SAMPLE_RATE = 16000  # Hz, of the encoders this worker trains
CHANNELS = 4  # stored; deltas are computed on the chunk

# Lowest and highest F0 in Hz by definition. The paper states none: C2 to C7 covers voices and most melodies. The range
# of the PASE code is that of speech.
F0_RANGES = {"paper": (65.40639132514966, 2093.004522404789), "official": (60.0, 300.0)}


class Options(DefinedOptions):
    """Options of every feature worker, the target's definition and deltas, and the range and scale of F0."""

    lowest_hz: float | None = None
    """Lowest F0 that is looked for, in Hz; null: C2, or 60 Hz with the official definition."""
    highest_hz: float | None = None
    """Highest F0 that is looked for, in Hz; null: C7, or 300 Hz with the official definition."""
    pitch: Literal["log", "hertz"] = "log"
    """F0 in `log` hertz, as in PASE, to which the paper refers, or in `hertz`. With the paper's definition it is 0
    where unvoiced; with the official one it is always logarithmic and interpolated."""

    @model_validator(mode="after")
    def _require_range_and_scale(self) -> Self:
        """Raise `ValueError` for an empty range, or a scale that the definition does not have."""
        if self.definition == "official" and self.pitch != "log":
            raise ValueError(f"prosody with the official definition needs pitch log, not {self.pitch}")
        lowest, highest = self.range_hz
        if not 0 < lowest < highest <= SAMPLE_RATE / 2:
            raise ValueError(
                f"prosody needs 0 < lowest_hz < highest_hz <= {SAMPLE_RATE // 2}, not {lowest:g} and {highest:g}"
            )
        return self

    @property
    def range_hz(self) -> tuple[float, float]:
        """Lowest and highest F0 in Hz."""
        lowest, highest = F0_RANGES[self.definition]
        return (
            lowest if self.lowest_hz is None else self.lowest_hz,
            highest if self.highest_hz is None else self.highest_hz,
        )


def extract(audio: np.ndarray, options: Options) -> np.ndarray:
    """Compute the targets of one clip without deltas: (samples,) float32 to (4, 1 + samples // 160) float32."""
    from workflow_scripts.features import official, prosody

    lowest, highest = options.range_hz
    if options.definition == "official":
        return official.prosody(audio, sample_rate=SAMPLE_RATE, lowest_hz=lowest, highest_hz=highest)
    return prosody.targets(audio, sample_rate=SAMPLE_RATE, lowest_hz=lowest, highest_hz=highest, pitch=options.pitch)


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker for an encoder with `embedding_size` channels."""
    from workflow_scripts.workers import _feature_targets
    from workflow_scripts.workers._feature_regression import FeatureWorker

    return FeatureWorker(
        channels=CHANNELS * (1 + options.deltas),
        target=functools.partial(_feature_targets.prosody, options=options),
        options=options,
        embedding_size=embedding_size,
    )
