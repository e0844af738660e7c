"""Polarity: the sign of the samples is changed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.augmentations._chain import Alone, Chain, Effect
from workflow_scripts.effects.level import inverted


@dataclass(frozen=True, kw_only=True)
class Options(Alone):
    """Only those of every effect."""


class Polarity(Effect):
    """Inverts the audio."""

    numbers = 0

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:  # noqa: ARG002 - one shape for all effects
        """Return the audio with the opposite polarity."""
        return inverted(audio)


def build(options: Options, *, sample_rate: int) -> Chain:  # noqa: ARG001 - one shape for all augmentations
    """Build it."""
    return options.chain(Polarity())
