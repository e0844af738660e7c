"""Pitch: the audio is transposed; its tempo stays."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.augmentations._chain import Alone, Chain, Effect, require_order, whole_between
from workflow_scripts.core.errors import UserError
from workflow_scripts.effects.pitch import shifted

OCTAVE = 1200  # cents; the thesis needs 700, and time and memory grow with the ratio of the speeds


@dataclass(frozen=True, kw_only=True)
class Options(Alone):
    """`lowest` and `highest`: bounds of the interval in cents, whole numbers.

    The thesis says a fifth down to a fifth up (section 3.1), which is 700 cents.
    """

    lowest: int = -700
    highest: int = 700

    def __post_init__(self) -> None:
        """Raise `UserError` for bounds in the wrong order or beyond an octave."""
        super().__post_init__()
        require_order("pitch", self.lowest, self.highest)
        if not -OCTAVE <= self.lowest <= self.highest <= OCTAVE:
            raise UserError(
                f"pitch: lowest and highest must be from {-OCTAVE} to {OCTAVE} cents, not {self.lowest} and "
                f"{self.highest}: beyond an octave too little of the sound is left"
            )


class Pitch(Effect):
    """Shifts the pitch by a uniformly drawn interval."""

    numbers = 1

    def __init__(self, options: Options, *, sample_rate: int) -> None:
        """Draw as `options` say."""
        self.options, self.sample_rate = options, sample_rate

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Return the audio transposed."""
        cents = whole_between(self.options.lowest, self.options.highest, numbers[:, 0])
        return shifted(audio, cents=cents, sample_rate=self.sample_rate)


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build it for audio of `sample_rate` Hz."""
    return options.chain(Pitch(options, sample_rate=sample_rate))
