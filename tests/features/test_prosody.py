"""Zero-crossing rate and energy equal librosa's; prosody targets combine them with the pitch."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings

from tests.features import signals
from tests.features.signals import DEVICES, RATE, SIGNALS, assert_equal
from workflow_scripts.features import prosody

FRAMED = {"frame_length": 2048, "hop_length": 160}
RANGE = {"lowest_hz": 65.4, "highest_hz": 2093.0}


def assert_both_equal_librosas(audio: np.ndarray, device: str = "cpu") -> None:
    ours = torch.from_numpy(audio).to(device)
    crossings = librosa.feature.zero_crossing_rate(audio, **FRAMED).astype(np.float32)
    np.testing.assert_array_equal(prosody.zero_crossing_rate(ours).cpu().numpy(), crossings)
    assert_equal(prosody.root_mean_square(ours), librosa.feature.rms(y=audio, **FRAMED))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_energy_and_crossings_of_difficult_signals_equal_librosas(
    signal: Callable[[int], np.ndarray], device: str
) -> None:
    assert_both_equal_librosas(signal(RATE), device)


@given(signals.audio)
@example(-signals.constant(1))
@example(np.array([1, -1], np.float32))
@example(np.array([1e-11, -1e-11, 1, -0.0, -1], np.float32))
@settings(deadline=None, max_examples=40)
def test_energy_and_crossings_of_any_length_equal_librosas(audio: np.ndarray) -> None:
    assert_both_equal_librosas(audio)


def test_energy_and_crossings_of_recordings_equal_librosas() -> None:
    for audio in signals.recordings(every=20, seconds=3):
        assert_both_equal_librosas(audio)


def test_clips_of_a_batch_are_independent() -> None:
    clips = torch.from_numpy(np.stack([signals.notes(5000), signals.noise(5000)])).reshape(2, 1, -1)
    assert prosody.zero_crossing_rate(clips).shape == (2, 1, 1, 32)
    torch.testing.assert_close(prosody.root_mean_square(clips)[1, 0], prosody.root_mean_square(clips[1, 0]))


def test_targets_are_in_the_order_of_the_paper() -> None:
    audio = np.concatenate([signals.tone(8000), signals.silence(8000)])
    targets = prosody.targets(audio, sample_rate=RATE, **RANGE)
    frequency, voiced, probability = prosody.pyin(audio, sample_rate=RATE, **RANGE)
    assert targets.shape == (4, 101)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets[0], librosa.feature.zero_crossing_rate(audio, **FRAMED)[0].astype(np.float32))
    np.testing.assert_allclose(targets[1], librosa.feature.rms(y=audio, **FRAMED)[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(targets[2], probability, rtol=1e-6)
    np.testing.assert_allclose(targets[3][voiced], np.log(frequency[voiced]), rtol=1e-6)
    assert voiced.any()
    assert not voiced.all()
    assert (targets[3][~voiced] == 0).all()


def test_targets_can_be_in_hertz() -> None:
    audio = signals.tone(8000)
    targets = prosody.targets(audio, sample_rate=RATE, **RANGE, pitch="hertz")
    np.testing.assert_allclose(targets[3][10:40], 446.1, rtol=0.01)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("samples", [1, 100, 4000])
def test_targets_are_finite(signal: Callable[[int], np.ndarray], samples: int) -> None:
    targets = prosody.targets(signal(samples), sample_rate=RATE, **RANGE)
    assert targets.shape == (4, 1 + samples // 160)
    assert np.isfinite(targets).all()
