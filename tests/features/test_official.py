"""Features of the PASE code equal `torch.stft` and librosa with that code's settings and its versions' defaults."""

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
from workflow_scripts.features import official
from workflow_scripts.features.pitch import pyin

SPEECH = {"lowest_hz": 60.0, "highest_hz": 300.0}


def assert_spectra_equal_librosas(audio: np.ndarray, device: str = "cpu") -> None:
    """Compare with mirrored ends, the default of librosa 0.6 and of torch's transform."""
    ours = torch.from_numpy(audio).to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # windows longer than the audio; mel bands without a bin
        spectrum = librosa.stft(
            audio, n_fft=2048, hop_length=160, win_length=400, window="boxcar", pad_mode="reflect", dtype=np.complex128
        )
        cepstrum = librosa.feature.mfcc(y=audio, sr=RATE, n_mfcc=20, n_fft=400, hop_length=160, pad_mode="reflect")
    assert_equal(official.log_power_spectrum(ours), 10 * np.log10(np.abs(spectrum) ** 2 + 1e-19))
    assert_equal(official.mfcc(ours, sample_rate=RATE), cepstrum)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_spectra_of_difficult_signals_equal_librosas(signal: Callable[[int], np.ndarray], device: str) -> None:
    assert_spectra_equal_librosas(signal(RATE), device)


@given(signals.audio)
@example(signals.noise(2))
@example(signals.noise(200))
@example(signals.noise(201))
@settings(deadline=None, max_examples=25, derandomize=True)
def test_spectra_of_any_length_equal_librosas(audio: np.ndarray) -> None:
    assert_spectra_equal_librosas(audio)


def test_spectra_of_recordings_equal_librosas() -> None:
    for audio in signals.recordings(every=40, seconds=3):
        assert_spectra_equal_librosas(audio)


def test_the_log_power_spectrum_equals_the_transform_of_the_pase_code() -> None:
    """The PASE code passes no window to `torch.stft`, which means a window of ones, and calls it in float32."""
    audio = torch.from_numpy(signals.noise(RATE))
    spectrum = torch.stft(audio, 2048, 160, 400, window=torch.ones(400), return_complex=True)
    expected = 10 * torch.log10(spectrum.abs().square() + 1e-19)
    torch.testing.assert_close(official.log_power_spectrum(audio), expected, rtol=1e-4, atol=0.01)


def test_silence_is_at_the_floor() -> None:
    decibels = official.log_power_spectrum(torch.zeros(2, 3200))
    torch.testing.assert_close(decibels, torch.full((2, 1025, 21), -190.0))


@pytest.mark.parametrize("device", DEVICES)
def test_clips_of_a_batch_are_independent(device: str) -> None:
    clips = [signal(3200) for signal in (signals.tone, signals.silence, signals.quiet_noise, signals.notes)]
    batch = torch.from_numpy(np.stack(clips)).to(device).reshape(2, 2, -1)
    for feature in (official.log_power_spectrum, lambda audio: official.mfcc(audio, sample_rate=RATE)):
        together = feature(batch)
        for index, clip in enumerate(clips):
            alone = feature(torch.from_numpy(clip).to(device))
            torch.testing.assert_close(together[index // 2, index % 2], alone, rtol=1e-5, atol=1e-5)


def interpolate_slowly(frequency: np.ndarray, voiced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute log F0 and voiced flag frame by frame: a gap begins at the last voiced frame before it."""
    voiced_frames = np.flatnonzero(voiced)
    values, flags = [], []
    for frame in range(len(voiced)):
        before, after = voiced_frames[voiced_frames <= frame], voiced_frames[voiced_frames >= frame]
        flags.append(voiced[frame] and (frame + 1 == len(voiced) or voiced[frame + 1]))
        if not len(before) or not len(after):
            values.append(np.log(frequency[voiced_frames[0] if not len(before) else voiced_frames[-1]]))
            continue
        last, following = before[-1], after[0]
        share = (frame - last) / max(following - last, 1)
        values.append((1 - share) * np.log(frequency[last]) + share * np.log(frequency[following]))
    return np.array(values), np.array(flags)


def tones(*parts: tuple[float, int]) -> np.ndarray:
    """Concatenate tones, each given by Hz (0 for silence) and samples."""
    return np.concatenate(
        [0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE) for hertz, samples in parts], dtype=np.float32
    )


@pytest.mark.parametrize(
    "audio",
    [
        tones((0, 4000), (110, 6000), (0, 6000), (220, 6000), (0, 4000)),
        tones((150, 6000), (0, 6000), (200, 6000)),
        tones((150, 4000)),
    ],
    ids=["from silence to silence", "from tone to tone", "one tone"],
)
def test_pitch_is_interpolated_between_voiced_frames(audio: np.ndarray) -> None:
    prosody = official.prosody(audio, sample_rate=RATE, **SPEECH)
    frequency, voiced, _ = pyin(audio, sample_rate=RATE, **SPEECH)
    assert voiced.any()
    pitch, flags = interpolate_slowly(frequency, voiced)
    np.testing.assert_allclose(prosody[0], pitch, rtol=1e-5)
    np.testing.assert_array_equal(prosody[1], flags)


def test_a_clip_without_pitch_has_the_lowest_pitch() -> None:
    prosody = official.prosody(signals.silence(4000), sample_rate=RATE, **SPEECH)
    np.testing.assert_allclose(prosody[0], np.log(60), rtol=1e-6)
    np.testing.assert_array_equal(prosody[1:], 0)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("samples", [1, 100, 4000])
def test_energy_and_crossings_equal_librosas_with_windows_of_20_ms(
    signal: Callable[[int], np.ndarray], samples: int
) -> None:
    audio = signal(samples)
    prosody = official.prosody(audio, sample_rate=RATE, **SPEECH)
    framed = {"frame_length": 320, "hop_length": 160}
    assert prosody.shape == (4, 1 + samples // 160)
    assert prosody.dtype == np.float32
    assert np.isfinite(prosody).all()
    np.testing.assert_allclose(prosody[2:3], librosa.feature.rms(y=audio, **framed), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(prosody[3:], librosa.feature.zero_crossing_rate(audio, **framed).astype(np.float32))
