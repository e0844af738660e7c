"""Gain: the level is reduced."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.augmentations._chain import Alone, Chain, Effect, between, require_order
from workflow_scripts.effects.level import amplified


@dataclass(frozen=True, kw_only=True)
class Options(Alone):
    """`lowest` and `highest`: bounds of the gain in dB (thesis, section 3.1)."""

    lowest: float = -6.0
    highest: float = 0.0

    def __post_init__(self) -> None:
        """Raise `UserError` for bounds in the wrong order."""
        super().__post_init__()
        require_order("gain", self.lowest, self.highest)


class Gain(Effect):
    """Changes the level by a uniformly drawn number of dB."""

    numbers = 1

    def __init__(self, options: Options) -> None:
        """Draw as `options` say."""
        self.options = options

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Return the audio at another level."""
        return amplified(audio, decibels=between(self.options.lowest, self.options.highest, numbers[:, 0]))


def build(options: Options, *, sample_rate: int) -> Chain:  # noqa: ARG001 - one shape for all augmentations
    """Build it."""
    return options.chain(Gain(options))
