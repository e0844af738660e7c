"""Spectral features equal librosa's."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings

from tests.features import signals
from tests.features.signals import DEVICES, RATE, SIGNALS, assert_equal
from workflow_scripts.features import spectral
from workflow_scripts.features.frames import frame_count

FRAMED = {"sr": RATE, "n_fft": 2048, "hop_length": 160}
# Tuning is the peak of a histogram: about one random case in ten thousand is a tie that rounding decides.
PROPERTY = settings(deadline=None, max_examples=25, derandomize=True)


def librosas_power(audio: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # windows longer than the audio; no peaks to tune to
        return np.abs(librosa.stft(audio, n_fft=2048, hop_length=160)) ** 2


def assert_all_equal_librosas(audio: np.ndarray, device: str = "cpu") -> None:
    theirs = librosas_power(audio)
    power = spectral.power_spectrum(torch.from_numpy(audio).to(device))
    assert_equal(power, theirs)
    assert_equal(spectral.log_power_spectrum(power=power), 10 * np.log10(theirs + 1e-10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_equal(spectral.mfcc(power=power, sample_rate=RATE), librosa.feature.mfcc(y=audio, **FRAMED))
        assert_equal(spectral.chroma(power=power, sample_rate=RATE), librosa.feature.chroma_stft(y=audio, **FRAMED))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_spectra_of_difficult_signals_equal_librosas(signal: Callable[[int], np.ndarray], device: str) -> None:
    assert_all_equal_librosas(signal(2 * RATE), device)


@given(signals.audio)
@example(signals.noise(1))
@example(signals.constant(1))
@example(signals.clicks(3))
@example(signals.clicks(69))
@PROPERTY
def test_spectra_of_any_length_equal_librosas(audio: np.ndarray) -> None:
    assert_all_equal_librosas(audio)


def test_spectra_of_recordings_equal_librosas() -> None:
    for audio in signals.recordings(every=40, seconds=3):
        assert_all_equal_librosas(audio)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_spectra_at_other_sample_rates_equal_librosas(rate: int) -> None:
    audio = signals.notes(RATE)
    theirs = librosa.feature.chroma_stft(y=audio, sr=rate, n_fft=2048, hop_length=160)
    assert_equal(spectral.chroma(torch.from_numpy(audio), sample_rate=rate), theirs)
    theirs = librosa.feature.mfcc(y=audio, sr=rate, n_fft=2048, hop_length=160)
    assert_equal(spectral.mfcc(torch.from_numpy(audio), sample_rate=rate), theirs)


@pytest.mark.parametrize("samples", [1, 159, 160, 5000, 48000])
def test_frames_are_counted_from_samples(samples: int) -> None:
    assert spectral.power_spectrum(torch.ones(samples)).shape == (1025, frame_count(samples))


def test_audio_without_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        spectral.power_spectrum(torch.zeros(3, 0))


@pytest.mark.parametrize("given_both", [True, False])
def test_audio_and_power_exclude_each_other(given_both: bool) -> None:
    audio = torch.ones(2000)
    both = {"audio": audio, "power": spectral.power_spectrum(audio)} if given_both else {}
    with pytest.raises(ValueError, match="either"):
        spectral.log_power_spectrum(**both)


def features(audio: torch.Tensor) -> dict[str, torch.Tensor]:
    power = spectral.power_spectrum(audio)
    return {
        "power": power,
        "lps": spectral.log_power_spectrum(power=power),
        "mfcc": spectral.mfcc(power=power, sample_rate=RATE),
        "chroma": spectral.chroma(power=power, sample_rate=RATE),
    }


@pytest.mark.parametrize("device", DEVICES)
def test_clips_of_a_batch_are_independent(device: str) -> None:
    """A quiet clip beside a loud one, each with its own tuning."""
    clips = [signal(RATE) for signal in (signals.tone, signals.notes, signals.silence, signals.quiet_noise)]
    batch = torch.from_numpy(np.stack(clips)).to(device).reshape(2, 2, -1)
    together = features(batch)
    for index, clip in enumerate(clips):
        for name, alone in features(torch.from_numpy(clip).to(device)).items():
            torch.testing.assert_close(together[name][index // 2, index % 2], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_mixed_precision_and_gradients_of_the_caller_change_nothing(device: str) -> None:
    audio = torch.from_numpy(signals.notes(RATE)).to(device)
    plain = features(audio)
    with torch.autocast(device, dtype=torch.bfloat16):
        inside = features(audio.requires_grad_())
    for name, values in inside.items():
        assert not values.requires_grad
        torch.testing.assert_close(values, plain[name], rtol=0, atol=0)


def test_audio_and_its_power_spectrum_give_the_same_features() -> None:
    audio = torch.from_numpy(signals.notes(RATE))
    torch.testing.assert_close(spectral.mfcc(audio, sample_rate=RATE), features(audio)["mfcc"], rtol=0, atol=0)
    torch.testing.assert_close(spectral.chroma(audio, sample_rate=RATE), features(audio)["chroma"], rtol=0, atol=0)
