"""Delay: the audio is added once more after a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from workflow_scripts.augmentations._single_effect import SingleEffectOptions, chain_of, require_order

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "delay"


class Options(SingleEffectOptions):
    """Options of every single effect, and the delays, all equally likely; the defaults are the thesis's (3.1)."""

    shortest: int = Field(default=200, ge=0)
    """Shortest delay in ms."""
    longest: int = Field(default=500, ge=0)
    """Longest delay in ms."""
    step: int = Field(default=50, ge=1)
    """Difference between neighbouring delays in ms."""
    factor: float = 0.5
    """Factor on the delayed audio."""
    halved: bool = False
    """Return half the sum of audio and delayed audio, as in the code."""

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        """Raise `ValueError` for bounds in the wrong order."""
        require_order("delay", self.shortest, self.longest)
        return self


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the augmentation for audio of `sample_rate` Hz."""
    from workflow_scripts.effects.delay import RandomEcho

    echo = RandomEcho(
        shortest=options.shortest,
        longest=options.longest,
        step=options.step,
        factor=options.factor,
        halved=options.halved,
        sample_rate=sample_rate,
    )
    return chain_of(echo, options)
