"""Worker M: regress the mel-frequency cepstral coefficients (Wu et al. 2021, section 3.2)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.features import official, spectral
from workflow_scripts.features.deltas import append_deltas
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.workers._feature_options import DefinedOptions
from workflow_scripts.workers._feature_regression import FeatureWorker

PRECOMPUTED = False
FRAME_EVERY = HOP  # samples: targets and frames go together

SAMPLE_RATE = 16000  # Hz, of the encoders this worker trains
CHANNELS = 20  # librosa's default, and workers.cfg's


@dataclass(frozen=True, kw_only=True)
class Options(DefinedOptions):
    """The options of every feature worker, and the target's definition and deltas."""


def target(batch: Batch, *, options: Options) -> Tensor:
    """Features (batch, 20 x (1 + deltas), frames) of the audio as recorded."""
    if options.definition == "official":
        coefficients = official.mfcc(batch.clean, sample_rate=SAMPLE_RATE)
    else:
        coefficients = spectral.mfcc(sample_rate=SAMPLE_RATE, power=batch.once(spectral.power_spectrum))
    return append_deltas(coefficients, orders=options.deltas)


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker."""
    return FeatureWorker(
        channels=CHANNELS * (1 + options.deltas),
        target=functools.partial(target, options=options),
        options=options,
        embedding_size=embedding_size,
    )
