"""SampleCNN at 16000 Hz: windows of 43740 samples (Spijkervet 2021, section 5.1.3; the CLMR code)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflow_scripts.encoders import samplecnn
from workflow_scripts.networks import clmr
from workflow_scripts.networks.samplecnn import POOLING, width_of, window

TRAINABLE = True
SAMPLE_RATE = 16000
HOP = window(POOLING[SAMPLE_RATE])  # samples


@dataclass(frozen=True, kw_only=True)
class Options(samplecnn.Options):
    """The options of every SampleCNN."""


def build(options: Options) -> samplecnn.SampleCnn:
    """Build an untrained SampleCNN."""
    return samplecnn.SampleCnn(options, sample_rate=SAMPLE_RATE)


official_weights = clmr.samplecnn_weights


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Options of the network whose state dict has these shapes; raises as SampleCNN's own does."""
    return Options(width=width_of(shapes, sample_rate=SAMPLE_RATE))
