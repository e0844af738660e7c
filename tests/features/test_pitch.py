"""pYIN gives exactly librosa's result."""

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

RANGE = (65.40639132514966, 2093.004522404789)


def check(audio: np.ndarray, *, rate: int = RATE, lowest: float = RANGE[0], highest: float = RANGE[1]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer than two periods in a window
        theirs = librosa.pyin(audio, sr=rate, fmin=lowest, fmax=highest, hop_length=160)
    ours = pyin(audio, sample_rate=rate, lowest_hz=lowest, highest_hz=highest)
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("signal", SIGNALS)
def test_hard_signals(signal: Callable[[int], np.ndarray]) -> None:
    check(signal(RATE))


@given(signals.audio, st.sampled_from([RANGE, (60.0, 2000.0), (30.0, 400.0), (110.0, 8000.0)]))
@example(signals.noise(1), RANGE)
@example(signals.noise(20000), (8.0, 8000.0))
@settings(deadline=None, max_examples=12)
def test_any_length_and_range(audio: np.ndarray, limits: tuple[float, float]) -> None:
    check(audio, lowest=limits[0], highest=limits[1])


def test_recordings() -> None:
    for audio in signals.recordings(every=80, seconds=1.5):
        check(audio)


@pytest.mark.slow
def test_more_frames_than_are_computed_at_once() -> None:
    check(np.concatenate([signals.notes(50000), signals.noise(20000), signals.glide((FRAMES_AT_ONCE - 300) * 160)]))


@pytest.mark.parametrize("rate", [8000, 22050])
def test_other_sample_rates(rate: int) -> None:
    check(signals.notes(8000), rate=rate)


def test_steps_between_notes() -> None:
    """Leaps wider than the band of the transition matrix, with and without a rest."""
    pitches = [110, 440, 0, 110, 1760, 123.5, 0, 880]
    time = np.arange(2000) / RATE
    check(np.concatenate([0.5 * np.sin(2 * np.pi * hertz * time) for hertz in pitches]).astype(np.float32))


@pytest.mark.parametrize(("lowest", "highest"), [(0, 400), (500, 400), (100, 8001), (7.8, 400), (400, 450)], ids=str)
def test_impossible_range(lowest: float, highest: float) -> None:
    with pytest.raises(UserError, match="pitch"):
        pyin(signals.noise(1000), sample_rate=RATE, lowest_hz=lowest, highest_hz=highest)


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros((2, 100)), np.array([0, np.nan]), np.array([np.inf])], ids=str)
def test_unusable_audio(audio: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite"):
        pyin(audio, sample_rate=RATE, lowest_hz=RANGE[0], highest_hz=RANGE[1])
