"""Filter: a low-pass or a high-pass, as a coin falls."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workflow_scripts.augmentations._chain import Alone, Chain, Effect, between
from workflow_scripts.core.errors import UserError
from workflow_scripts.effects.filters import filtered


@dataclass(frozen=True, kw_only=True)
class Options(Alone):
    """`low_pass` and `high_pass`: bounds of the cut-off frequency in Hz (thesis, section 3.1)."""

    low_pass: tuple[float, float] = (2200.0, 4000.0)
    high_pass: tuple[float, float] = (200.0, 1200.0)

    def require_rate(self, sample_rate: float) -> None:
        """Raise `UserError` for frequencies that cannot be cut off at a sample rate in Hz."""
        for low, high in (self.low_pass, self.high_pass):
            if not 0 < low <= high <= sample_rate / 2:
                raise UserError(
                    f"filter: cut-offs must go upwards from above 0 to at most {sample_rate / 2:g} Hz, half the "
                    f"encoder's sample rate, not from {low:g} to {high:g}"
                )


class Filter(Effect):
    """Filters at a uniformly drawn frequency."""

    numbers = 2

    def __init__(self, options: Options, *, sample_rate: int) -> None:
        """Draw as `options` say; `UserError` for frequencies that cannot be cut off at `sample_rate`."""
        options.require_rate(sample_rate)
        self.options, self.sample_rate = options, sample_rate

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Return the audio filtered."""
        high_pass = numbers[:, 0] < 0.5
        hertz = torch.where(
            high_pass, between(*self.options.high_pass, numbers[:, 1]), between(*self.options.low_pass, numbers[:, 1])
        )
        return filtered(audio, cutoffs=hertz / self.sample_rate, high_pass=high_pass)


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build it for audio of `sample_rate` Hz."""
    return options.chain(Filter(options, sample_rate=sample_rate))
