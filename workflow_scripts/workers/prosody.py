"""Worker P: regress zero-crossing rate, energy, voicing and F0 (Wu et al. 2021, section 3.2).

pYIN is far too slow for the training loop, so the `extract` job computes the targets once, on whole clips.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.features import official, prosody
from workflow_scripts.features.deltas import append_deltas
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.workers._feature_options import DefinedOptions
from workflow_scripts.workers._feature_regression import FeatureWorker

PRECOMPUTED = True
FRAME_EVERY = HOP  # samples: targets and frames go together

SAMPLE_RATE = 16000  # Hz, of the encoders this worker trains
CHANNELS = 4  # stored; deltas are computed on the cut

# Hz. The paper states none: C2 to C7 covers voices and most melodies. The PASE code's is that of speech.
RANGES = {"paper": (65.40639132514966, 2093.004522404789), "official": (60.0, 300.0)}


@dataclass(frozen=True, kw_only=True)
class Options(DefinedOptions):
    """The options of every feature worker, the target's definition and deltas, and F0's range and scale.

    `lowest_hz` and `highest_hz`: where F0 is looked for, by default C2 to C7, or 60 to 300 Hz if official. `pitch`: F0
    in `log` hertz (the paper means F0 "as used in" PASE) or in `hertz`; in the paper's definition 0 where unvoiced, in
    the official one always logarithmic and interpolated.
    """

    lowest_hz: float | None = None
    highest_hz: float | None = None
    pitch: Literal["log", "hertz"] = "log"

    def __post_init__(self) -> None:
        """Raise `UserError` for an empty range, or a scale the definition does not have."""
        super().__post_init__()
        if self.pitch not in ("log", "hertz"):
            raise UserError(f"prosody needs pitch log or hertz, not {self.pitch!r}")
        if self.definition == "official" and self.pitch != "log":
            raise UserError(f"prosody with the official definition needs pitch log, not {self.pitch}")
        lowest, highest = self.range_hz
        if not 0 < lowest < highest <= SAMPLE_RATE / 2:
            raise UserError(
                f"prosody needs 0 < lowest_hz < highest_hz <= {SAMPLE_RATE // 2}, not {lowest} and {highest}"
            )

    @property
    def range_hz(self) -> tuple[float, float]:
        """Lowest and highest F0 in Hz."""
        lowest, highest = RANGES[self.definition]
        return (
            lowest if self.lowest_hz is None else self.lowest_hz,
            highest if self.highest_hz is None else self.highest_hz,
        )


def extract(audio: np.ndarray, options: Options) -> np.ndarray:
    """Targets of one clip without deltas: (samples,) float32 to (4, 1 + samples // 160) float32."""
    lowest, highest = options.range_hz
    if options.definition == "official":
        return official.prosody(audio, sample_rate=SAMPLE_RATE, lowest_hz=lowest, highest_hz=highest)
    return prosody.targets(audio, sample_rate=SAMPLE_RATE, lowest_hz=lowest, highest_hz=highest, pitch=options.pitch)


def target(batch: Batch, *, options: Options) -> Tensor:
    """Stored targets of these cuts with their deltas, (batch, 4 x (1 + deltas), frames)."""
    return append_deltas(batch.precomputed["prosody"], orders=options.deltas)


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker."""
    return FeatureWorker(
        channels=CHANNELS * (1 + options.deltas),
        target=functools.partial(target, options=options),
        options=options,
        embedding_size=embedding_size,
    )
