"""Polarity inversion: the sign of all samples changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.augmentations._single_effect import SingleEffectOptions, chain_of

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "polarity"


class Options(SingleEffectOptions):
    """Options of every single effect."""


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the augmentation."""
    from workflow_scripts.effects.level import PolarityInversion

    return chain_of(PolarityInversion(), options)
