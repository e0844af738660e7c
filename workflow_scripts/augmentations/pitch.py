"""Pitch shift: the audio is transposed; its tempo stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from workflow_scripts.augmentations._single_effect import SingleEffectOptions, chain_of, require_order

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "pitch"

# Cents. The thesis needs 700; beyond an octave too little of the sound is left, and time and memory grow with the ratio
# of the speeds.
OCTAVE = 1200


class Options(SingleEffectOptions):
    """Options of every single effect, and the range of the interval.

    The thesis states a fifth down to a fifth up (section 3.1), which is 700 cents.
    """

    lowest: int = Field(default=-700, ge=-OCTAVE, le=OCTAVE)
    """Lowest interval in cents."""
    highest: int = Field(default=700, ge=-OCTAVE, le=OCTAVE)
    """Highest interval in cents."""

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        """Raise `ValueError` for bounds in the wrong order."""
        require_order("pitch", self.lowest, self.highest)
        return self


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the augmentation for audio of `sample_rate` Hz."""
    from workflow_scripts.effects.pitch import RandomPitchShift

    return chain_of(RandomPitchShift(lowest=options.lowest, highest=options.highest, sample_rate=sample_rate), options)
