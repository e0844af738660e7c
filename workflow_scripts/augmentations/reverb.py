"""Reverb: the audio is heard in a room."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.augmentations._chain import Alone, Chain, Effect, whole_between
from workflow_scripts.core.errors import UserError
from workflow_scripts.effects.reverb import reverberated


@dataclass(frozen=True, kw_only=True)
class Options(Alone):
    """`highest`: of the whole numbers from 0 on that room size, reverberance and damping are drawn from, at most 100.

    The thesis says [0 - 100] (section 3.1).
    """

    highest: int = 100

    def __post_init__(self) -> None:
        """Raise `UserError` for what is no part of a hundred."""
        super().__post_init__()
        if not 0 <= self.highest <= 100:
            raise UserError(f"reverb: highest must be from 0 to 100, not {self.highest}")


class Reverb(Effect):
    """Adds the reverberation of a room of which each property is uniformly drawn."""

    numbers = 3

    def __init__(self, options: Options, *, sample_rate: int) -> None:
        """Draw as `options` say."""
        self.options, self.sample_rate = options, sample_rate

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Return the audio in its room."""
        room, reverberance, damping = whole_between(0, self.options.highest, numbers).unbind(dim=1)
        return reverberated(audio, reverberance=reverberance, damping=damping, room=room, sample_rate=self.sample_rate)


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build it for audio of `sample_rate` Hz."""
    return options.chain(Reverb(options, sample_rate=sample_rate))
