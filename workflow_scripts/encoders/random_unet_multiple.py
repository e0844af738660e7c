"""Untrained U-Net for four sources: the floor that shows what the architecture alone is worth."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.encoders import unet_multiple
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = False
UNTRAINED_VERSION_OF = "unet_multiple"
SAMPLE_RATE = 16000


@dataclass(frozen=True, kw_only=True)
class Options(unet_multiple.Options):
    """The options of `unet_multiple`: give both the same, so that only the training differs."""


def build(options: Options) -> Encoder:
    """Build a U-Net that nobody will train."""
    return unet_multiple.build(options)
