"""Untrained PASE+: the floor that shows what the architecture alone is worth."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.encoders import pase_plus
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = False
UNTRAINED_VERSION_OF = "pase_plus"
SAMPLE_RATE = 16000


@dataclass(frozen=True, kw_only=True)
class Options(pase_plus.Options):
    """The options of PASE+: give both the same, so that only the training differs."""


def build(options: Options) -> Encoder:
    """Build a PASE+ that nobody will train."""
    return pase_plus.build(options)
