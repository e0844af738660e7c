"""Untrained SampleCNN: the floor that shows what the architecture alone is worth."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.encoders import samplecnn
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = False
UNTRAINED_VERSION_OF = "samplecnn"
SAMPLE_RATE = 22050


@dataclass(frozen=True, kw_only=True)
class Options(samplecnn.Options):
    """The options of SampleCNN: give both the same, so that only the training differs."""


def build(options: Options) -> Encoder:
    """Build a SampleCNN that nobody will train."""
    return samplecnn.build(options)
