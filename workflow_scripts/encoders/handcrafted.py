"""The handcrafted floor: the features that pre-training learns to predict, as direct input of the head.

An encoder that was pre-trained to predict these features and is worth its cost should beat them. Nothing here is
trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.features.frames import HOP
from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.networks.handcrafted import Handcrafted

LABEL = "handcrafted features"
TRAINABLE = False
EMBEDDING = 840  # values of a clip: mean and standard deviation of each feature, with pitch

SAMPLE_RATE = 16000  # Hz


class Options(LevelOptions):
    """Options of the handcrafted features."""

    pitch: bool = True
    """Whether voicing probability and log F0 by pYIN are added, which cost about twice as much as all the rest."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return SAMPLE_RATE


def hop(options: Options) -> int:
    """Return the samples between two frames."""
    return HOP


def build(options: Options) -> Handcrafted:
    """Build the floor."""
    from workflow_scripts.networks.handcrafted import Handcrafted

    return Handcrafted(sample_rate=SAMPLE_RATE, pitch=options.pitch)
