"""Delay: the audio is heard once more after a while."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.augmentations._chain import Alone, Chain, Effect, whole_between
from workflow_scripts.core.errors import UserError
from workflow_scripts.effects.delay import delayed


@dataclass(frozen=True, kw_only=True)
class Options(Alone):
    """Options of the delay.

    `shortest` to `longest`, both included, in steps of `step`: the delays in ms, all with equal chance. `factor`: of
    the delayed audio. Those are the thesis's (section 3.1). `halved`: what is heard is half the sum, as in the code.
    """

    shortest: int = 200
    longest: int = 500
    step: int = 50
    factor: float = 0.5
    halved: bool = False

    def __post_init__(self) -> None:
        """Raise `UserError` for delays that cannot be."""
        super().__post_init__()
        if not (0 <= self.shortest <= self.longest and self.step > 0):
            raise UserError(
                f"delay: must go upwards from 0 or more in steps above 0, not from {self.shortest} to {self.longest} "
                f"in steps of {self.step}"
            )


class Delay(Effect):
    """Adds an echo."""

    numbers = 1

    def __init__(self, options: Options, *, sample_rate: int) -> None:
        """Draw as `options` say."""
        self.options, self.sample_rate = options, sample_rate

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Return the audio with its echo."""
        steps = whole_between(0, (self.options.longest - self.options.shortest) // self.options.step, numbers[:, 0])
        milliseconds = self.options.shortest + self.options.step * steps
        sum_ = delayed(audio, delays=milliseconds * self.sample_rate // 1000, factor=self.options.factor)
        return sum_ / 2 if self.options.halved else sum_


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build it for audio of `sample_rate` Hz."""
    return options.chain(Delay(options, sample_rate=sample_rate))
