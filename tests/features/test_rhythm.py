"""Onset strength and tempogram equal librosa's."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tests.features import signals
from tests.features.signals import DEVICES, RATE, SIGNALS, assert_equal
from workflow_scripts.features import rhythm, spectral

# a window below this contains rounding errors of the decibels (about 1e-5) instead of onsets, scaled to 1
MIN_ONSET_DB = 0.5


def assert_all_equal_librosas(audio: np.ndarray, device: str = "cpu") -> None:
    power = spectral.power_spectrum(torch.from_numpy(audio).to(device))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # windows longer than the audio
        onsets = librosa.onset.onset_strength(y=audio, sr=RATE, hop_length=160)
        theirs = librosa.feature.tempogram(y=audio, sr=RATE, hop_length=160)
    ours = rhythm.tempogram(power=power, sample_rate=RATE)
    strength = rhythm.onset_strength(power=power, sample_rate=RATE).squeeze(-2).cpu().numpy()
    np.testing.assert_allclose(strength, onsets, rtol=1e-4, atol=max(1e-4 * onsets.max(), 2e-5))
    certain = largest_onset(onsets) >= MIN_ONSET_DB
    assert ours.shape == theirs.shape
    if certain.any():
        assert_equal(ours[:, torch.from_numpy(certain)], theirs[:, certain])
    assert ours.isfinite().all()
    assert ours.abs().max() <= 1


def largest_onset(onsets: np.ndarray) -> np.ndarray:
    """Compute the largest weighted onset in the window of each frame."""
    window = librosa.filters.get_window("hann", 384)
    padded = np.pad(onsets, 192)
    return np.array([(padded[start : start + 384] * window).max() for start in range(len(onsets))])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_onsets_and_tempogram_of_difficult_signals_equal_librosas(
    signal: Callable[[int], np.ndarray], device: str
) -> None:
    assert_all_equal_librosas(signal(6 * RATE), device)


@given(signals.audio)
@settings(deadline=None, max_examples=25, derandomize=True)
def test_onsets_and_tempogram_of_any_length_equal_librosas(audio: np.ndarray) -> None:
    assert_all_equal_librosas(audio)


def test_onsets_and_tempogram_of_recordings_equal_librosas() -> None:
    for audio in signals.recordings(every=60, seconds=5):
        assert_all_equal_librosas(audio)


def test_silence_has_no_tempo() -> None:
    assert not rhythm.tempogram(torch.zeros(RATE), sample_rate=RATE).any()


@pytest.mark.parametrize("frames", [1, 2, 200, 500])
def test_an_envelope_that_ends_high_is_ramped(frames: int) -> None:
    envelope = np.random.default_rng(frames).random(frames).astype(np.float32) + 1
    theirs = librosa.feature.tempogram(onset_envelope=envelope)
    assert_equal(rhythm.local_autocorrelation(torch.from_numpy(envelope)), theirs)


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    clips = [signal(RATE) for signal in (signals.notes, signals.clicks, signals.silence)]
    together = rhythm.tempogram(torch.from_numpy(np.stack(clips)), sample_rate=RATE)
    for row, clip in zip(together, clips, strict=True):
        alone = rhythm.tempogram(torch.from_numpy(clip), sample_rate=RATE)
        torch.testing.assert_close(row, alone, rtol=1e-5, atol=1e-5)
