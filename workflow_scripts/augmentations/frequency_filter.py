"""Filter: a low-pass or a high-pass filter, with equal chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.augmentations._single_effect import SingleEffectOptions, chain_of
from workflow_scripts.core.errors import UserError

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "filter"


class Options(SingleEffectOptions):
    """Options of every single effect, and the ranges of the cutoff frequency (thesis, section 3.1)."""

    low_pass: tuple[float, float] = (2200.0, 4000.0)
    """Lowest and highest cutoff frequency of the low-pass filter in Hz."""
    high_pass: tuple[float, float] = (200.0, 1200.0)
    """Lowest and highest cutoff frequency of the high-pass filter in Hz."""

    def require_rate(self, sample_rate: float) -> None:
        """Raise `UserError` for cutoff frequencies that do not exist at a sample rate in Hz."""
        for low, high in (self.low_pass, self.high_pass):
            if not 0 < low <= high <= sample_rate / 2:
                raise UserError(
                    f"filter: cut-offs must go upwards from above 0 to at most {sample_rate / 2:g} Hz, half the "
                    f"encoder's sample rate, not from {low:g} to {high:g}"
                )


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the augmentation for audio of `sample_rate` Hz; `UserError` where a cutoff frequency is too high."""
    from workflow_scripts.effects.filters import RandomFilter

    options.require_rate(sample_rate)
    effect = RandomFilter(low_pass=options.low_pass, high_pass=options.high_pass, sample_rate=sample_rate)
    return chain_of(effect, options)
