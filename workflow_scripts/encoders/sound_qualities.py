"""Six measured qualities of a clip's sound: what a filter may respond to, and a floor of six numbers.

Spijkervet 2021 (section 7.5) describes filters by ear "in terms of the frequency spectrum, loudness, and ADSR
qualities". Nothing here is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.features.frames import HOP
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.sound_qualities import QUALITIES

if TYPE_CHECKING:
    from workflow_scripts.networks.sound_qualities import SoundQualities

LABEL = "sound qualities"
TRAINABLE = False
EMBEDDING = len(QUALITIES)


class Options(LevelOptions):
    """Options of the measured qualities."""

    sample_rate: int = Field(default=22050, gt=0)
    """Sample rate in Hz: that of the encoder whose filters they describe, so that both read the same corpus."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return options.sample_rate


def hop(options: Options) -> int:
    """Return the samples between two frames."""
    return HOP


def build(options: Options) -> SoundQualities:
    """Build the measurement."""
    from workflow_scripts.networks.sound_qualities import SoundQualities

    return SoundQualities(sample_rate=options.sample_rate)
