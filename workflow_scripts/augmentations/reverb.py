"""Reverb: the audio is reverberated as in a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.augmentations._single_effect import SingleEffectOptions, chain_of

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "reverb"


class Options(SingleEffectOptions):
    """Options of every single effect, and the range of the room's properties."""

    highest: int = Field(default=100, ge=0, le=100)
    """Largest of the integers, from 0 on, from which room size, reverberance and damping are drawn. The thesis states
    [0 - 100] (section 3.1)."""


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the augmentation for audio of `sample_rate` Hz."""
    from workflow_scripts.effects.reverb import RandomReverb

    return chain_of(RandomReverb(highest=options.highest, sample_rate=sample_rate), options)
