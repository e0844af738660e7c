"""Untrained CPC encoder: the floor that shows what the architecture alone is worth."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.encoders import cpc
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = False
UNTRAINED_VERSION_OF = "cpc"
SAMPLE_RATE = 22050


@dataclass(frozen=True, kw_only=True)
class Options(cpc.Options):
    """The options of CPC encoder: give both the same, so that only the training differs."""


def build(options: Options) -> Encoder:
    """Build a CPC encoder that nobody will train."""
    return cpc.build(options)
