"""Pitch by pYIN equals librosa's result exactly."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import librosa
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.features import signals
from tests.features.signals import RATE, SIGNALS
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.pitch import FRAMES_AT_ONCE, pyin

pytestmark = pytest.mark.slow

RANGE = (65.40639132514966, 2093.004522404789)


def assert_equals_librosas(
    audio: np.ndarray, *, rate: int = RATE, lowest: float = RANGE[0], highest: float = RANGE[1]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer than two periods in a window
        theirs = librosa.pyin(audio, sr=rate, fmin=lowest, fmax=highest, hop_length=160)
    ours = pyin(audio, sample_rate=rate, lowest_hz=lowest, highest_hz=highest)
    for actual, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("signal", SIGNALS)
def test_pitch_of_difficult_signals_equals_librosas(signal: Callable[[int], np.ndarray]) -> None:
    assert_equals_librosas(signal(RATE))


@given(signals.audio, st.sampled_from([RANGE, (60.0, 2000.0), (30.0, 400.0), (110.0, 8000.0)]))
@example(signals.noise(1), RANGE)
@example(signals.noise(20000), (8.0, 8000.0))
@settings(deadline=None, max_examples=12)
def test_pitch_of_any_length_and_range_equals_librosas(audio: np.ndarray, limits: tuple[float, float]) -> None:
    assert_equals_librosas(audio, lowest=limits[0], highest=limits[1])


def test_pitch_of_recordings_equals_librosas() -> None:
    for audio in signals.recordings(every=80, seconds=1.5):
        assert_equals_librosas(audio)


def test_pitch_of_more_frames_than_one_part_equals_librosas() -> None:
    assert_equals_librosas(
        np.concatenate([signals.notes(50000), signals.noise(20000), signals.glide((FRAMES_AT_ONCE - 300) * 160)])
    )


@pytest.mark.parametrize("rate", [8000, 22050])
def test_pitch_at_other_sample_rates_equals_librosas(rate: int) -> None:
    assert_equals_librosas(signals.notes(8000), rate=rate)


def test_pitch_of_wide_leaps_equals_librosas() -> None:
    """Leaps are wider than the band of the transition matrix, with and without a rest."""
    pitches = [110, 440, 0, 110, 1760, 123.5, 0, 880]
    time = np.arange(2000) / RATE
    assert_equals_librosas(
        np.concatenate([0.5 * np.sin(2 * np.pi * hertz * time) for hertz in pitches]).astype(np.float32)
    )


@pytest.mark.parametrize(("lowest", "highest"), [(0, 400), (500, 400), (100, 8001), (7.8, 400), (400, 450)], ids=str)
def test_an_impossible_pitch_range_is_refused(lowest: float, highest: float) -> None:
    with pytest.raises(UserError, match="pitch"):
        pyin(signals.noise(1000), sample_rate=RATE, lowest_hz=lowest, highest_hz=highest)


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros((2, 100)), np.array([0, np.nan]), np.array([np.inf])], ids=str)
def test_unusable_audio_is_refused(audio: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite"):
        pyin(audio, sample_rate=RATE, lowest_hz=RANGE[0], highest_hz=RANGE[1])
