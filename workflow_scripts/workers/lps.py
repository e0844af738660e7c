"""Worker L: regress the log power spectrum (Wu et al. 2021, section 3.2)."""

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

CHANNELS = 1025  # bins of a 2048-point transform


@dataclass(frozen=True, kw_only=True)
class Options(DefinedOptions):
    """The options of every feature worker, and the target's definition and deltas.

    The paper states neither scale nor floor: its definition here is decibels of power with a floor of 1e-10.
    """


def target(batch: Batch, *, options: Options) -> Tensor:
    """Features (batch, 1025 x (1 + deltas), frames) of the audio as recorded."""
    if options.definition == "official":
        decibels = official.log_power_spectrum(batch.clean)
    else:
        decibels = spectral.log_power_spectrum(power=batch.once(spectral.power_spectrum))
    return append_deltas(decibels, orders=options.deltas)


def build(options: Options, *, embedding_size: int) -> FeatureWorker:
    """Build the worker."""
    return FeatureWorker(
        channels=CHANNELS * (1 + options.deltas),
        target=functools.partial(target, options=options),
        options=options,
        embedding_size=embedding_size,
    )
