"""Magnitude spectrogram: the input of back ends of source separation without a U-Net.

With one of these as head and the scenario `supervised` it is a bare back end (Garoufis et al. 2024, first row of the
results); for a plain head its embedding is the mean log-mel spectrum. Nothing here is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.spectrogram import HOP, SAMPLE_RATE
from workflow_scripts.networks.sizes.unet import FRAMES

if TYPE_CHECKING:
    from workflow_scripts.networks.magnitude import Magnitude

LABEL = "spectrogram alone"
TRAINABLE = False
MAPS = True  # heads may read them


class Options(LevelOptions):
    """No options."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return SAMPLE_RATE


def hop(options: Options) -> int:
    """Return the samples between two frames."""
    return HOP


def build(options: Options) -> Magnitude:
    """Build the front end."""
    from workflow_scripts.networks.magnitude import Magnitude

    return Magnitude(crop_frames=FRAMES)
