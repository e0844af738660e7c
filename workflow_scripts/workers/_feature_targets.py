"""Targets of the workers that regress frame features, computed from the audio as recorded."""

from __future__ import annotations

from torch import Tensor

from workflow_scripts.features import official, rhythm, spectral
from workflow_scripts.features.deltas import append_deltas
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.workers._feature_options import DefinedOptions

SAMPLE_RATE = 16000  # Hz, of the encoders these workers train


def log_power_spectrum(batch: Batch, *, options: DefinedOptions) -> Tensor:
    """Compute log power spectra in decibels, (batch, 1025 x (1 + deltas), frames)."""
    if options.definition == "official":
        decibels = official.log_power_spectrum(batch.clean)
    else:
        decibels = spectral.log_power_spectrum(power=batch.compute_once(spectral.power_spectrum))
    return append_deltas(decibels, orders=options.deltas)


def mfcc(batch: Batch, *, options: DefinedOptions) -> Tensor:
    """Compute mel-frequency cepstral coefficients, (batch, 20 x (1 + deltas), frames)."""
    if options.definition == "official":
        coefficients = official.mfcc(batch.clean, sample_rate=SAMPLE_RATE)
    else:
        coefficients = spectral.mfcc(sample_rate=SAMPLE_RATE, power=batch.compute_once(spectral.power_spectrum))
    return append_deltas(coefficients, orders=options.deltas)


def chroma(batch: Batch) -> Tensor:
    """Compute chromagrams, (batch, 12, frames)."""
    return spectral.chroma(sample_rate=SAMPLE_RATE, power=batch.compute_once(spectral.power_spectrum))


def tempogram(batch: Batch) -> Tensor:
    """Compute tempograms, (batch, 384, frames)."""
    return rhythm.tempogram(sample_rate=SAMPLE_RATE, power=batch.compute_once(spectral.power_spectrum))


def prosody(batch: Batch, *, options: DefinedOptions) -> Tensor:
    """Return the stored prosody of these chunks with its deltas, (batch, 4 x (1 + deltas), frames)."""
    return append_deltas(batch.precomputed["prosody"], orders=options.deltas)
