"""Gain: the level is reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from workflow_scripts.augmentations._single_effect import SingleEffectOptions, chain_of, require_order

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "gain"


class Options(SingleEffectOptions):
    """Options of every single effect, and the range of the gain."""

    lowest: float = -6.0
    """Lowest gain in dB (thesis, section 3.1)."""
    highest: float = 0.0
    """Highest gain in dB (thesis, section 3.1)."""

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        """Raise `ValueError` for bounds in the wrong order."""
        require_order("gain", self.lowest, self.highest)
        return self


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the augmentation."""
    from workflow_scripts.effects.level import RandomGain

    return chain_of(RandomGain(lowest=options.lowest, highest=options.highest), options)
