"""Untrained SampleCNN at 16000 Hz: the floor that shows what its architecture alone is worth."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.encoders import samplecnn_16000
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = False
UNTRAINED_VERSION_OF = "samplecnn_16000"
SAMPLE_RATE = 16000


@dataclass(frozen=True, kw_only=True)
class Options(samplecnn_16000.Options):
    """The options of SampleCNN: give both the same, so that only the training differs."""


def build(options: Options) -> Encoder:
    """Build a SampleCNN that nobody will train."""
    return samplecnn_16000.build(options)
