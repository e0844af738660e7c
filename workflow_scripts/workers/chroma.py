"""Worker C: regress the chroma of the short-time Fourier transform (Wu et al. 2021, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.features import spectral
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.workers._feature_regression import FeatureOptions, FeatureWorker

PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: targets and frames go together

SAMPLE_RATE = 16000  # Hz, of the encoders this worker trains
CHANNELS = 12  # pitch classes


@dataclass(frozen=True, kw_only=True)
class Options(FeatureOptions):
    """The options of every feature worker."""


def target(batch: Batch) -> Tensor:
    """Features (batch, 12, frames) of the audio as recorded."""
    return spectral.chroma(sample_rate=SAMPLE_RATE, power=batch.once(spectral.power_spectrum))


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker."""
    return FeatureWorker(channels=CHANNELS, target=target, options=options, embedding_size=embedding_size)
