"""Options of the augmentations that are a single effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain, Effect


class SingleEffectOptions(LevelOptions):
    """Options of every augmentation that is a single effect."""

    probability: float = Field(default=1.0, ge=0, le=1)
    """Probability with which the effect is applied to an example."""
    one_sided: bool = False
    """Apply the effect to one of the two views only, which shows best what a single effect is worth (Spijkervet 2021,
    section 6.3)."""


def chain_of(effect: Effect, options: SingleEffectOptions) -> Chain:
    """Return the chain of this one effect."""
    from workflow_scripts.effects.chain import Chain

    return Chain.of(effect, probability=options.probability, one_sided=options.one_sided)


def require_order(where: str, low: float, high: float) -> None:
    """Raise `ValueError` for a range whose end is below its start."""
    if not low <= high:
        raise ValueError(f"{where}: a range must go upwards, not from {low} to {high}")
