"""Spectral centroid and flatness equal librosa's; the harmonic share tells tones from clicks."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch

from tests.features import signals
from tests.features.signals import RATE
from workflow_scripts.features import spectral, timbre


@pytest.mark.parametrize("signal", [signals.noise, signals.square, signals.clicks])
def test_centroid_and_flatness_are_librosas(signal: Callable[[int], np.ndarray]) -> None:
    audio = signal(RATE)
    power = spectral.power_spectrum(torch.from_numpy(audio))
    magnitude = np.abs(librosa.stft(audio, n_fft=2048, hop_length=160))
    theirs = librosa.feature.spectral_centroid(S=magnitude, sr=RATE)
    np.testing.assert_allclose(timbre.spectral_centroid(power, sample_rate=RATE), theirs, rtol=1e-3)
    theirs = librosa.feature.spectral_flatness(S=magnitude)
    np.testing.assert_allclose(timbre.spectral_flatness(power), theirs, rtol=1e-3, atol=1e-6)


def test_silence_has_no_centroid_and_is_flat() -> None:
    power = spectral.power_spectrum(torch.zeros(RATE))
    assert (timbre.spectral_centroid(power, sample_rate=RATE) == 0).all()
    torch.testing.assert_close(timbre.spectral_flatness(power), torch.ones(1, power.shape[-1]))


def harmonic_share(audio: np.ndarray) -> float:
    power = spectral.power_spectrum(torch.from_numpy(audio.astype(np.float32)))
    harmonic, energy = timbre.harmonic_energy(power, sample_rate=RATE).sum(dim=-1)
    return float(harmonic / energy)


def test_tones_are_harmonic_and_clicks_are_not() -> None:
    time = np.arange(4 * RATE) / RATE
    clicks = np.zeros(4 * RATE)
    clicks[:: RATE // 2] = 1
    assert harmonic_share(np.sin(2 * np.pi * 440 * time)) > 0.95
    assert harmonic_share(clicks) < 0.1
