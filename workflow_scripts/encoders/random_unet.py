"""Untrained U-Net: the floor that shows what the architecture alone is worth."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.encoders import unet
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = False
UNTRAINED_VERSION_OF = "unet"
SAMPLE_RATE = 16000


@dataclass(frozen=True, kw_only=True)
class Options(unet.Options):
    """The options of the U-Net: give both the same, so that only the training differs."""


def build(options: Options) -> Encoder:
    """Build a U-Net that nobody will train."""
    return unet.build(options)
