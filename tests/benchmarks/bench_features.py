"""Speed of the features compared with librosa on the same cores: `python -m tests.benchmarks.bench_features`.

Each number is the best of several passes over the same clips of 3 s: Prelude on one batch, librosa clip by clip.
librosa's own Fourier transform and Prelude's batch of tensors use one core for "1 thread"; for "2 threads" both may
use two (librosa through its BLAS). pYIN runs clip by clip in both, on one core.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

import librosa
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from workflow_scripts.features import prosody, rhythm, spectral
from workflow_scripts.features.frames import HOP, N_FFT

RATE = 16000
SECONDS = 3
CLIPS = 16
PASSES = 5
PITCH_CLIPS = 3  # librosa takes about a second each
MIN_HZ, MAX_HZ = 65.4, 2093.0

FRAMED = {"sr": RATE, "n_fft": N_FFT, "hop_length": HOP}


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A feature as computed by Prelude for a batch and by librosa for a clip."""

    batched: Callable[[torch.Tensor], object]
    single: Callable[[np.ndarray], object]


FEATURES = {
    "LPS": Feature(batched=spectral.log_power_spectrum, single=lambda y: 10 * np.log10(_power(y) + spectral.FLOOR)),
    "MFCC": Feature(
        batched=functools.partial(spectral.mfcc, sample_rate=RATE), single=lambda y: librosa.feature.mfcc(y=y, **FRAMED)
    ),
    "chroma": Feature(
        batched=functools.partial(spectral.chroma, sample_rate=RATE),
        single=lambda y: librosa.feature.chroma_stft(y=y, **FRAMED),
    ),
    "tempogram": Feature(
        batched=functools.partial(rhythm.tempogram, sample_rate=RATE),
        single=lambda y: librosa.feature.tempogram(y=y, sr=RATE, hop_length=HOP),
    ),
    "ZCR": Feature(
        batched=prosody.zero_crossing_rate,
        single=lambda y: librosa.feature.zero_crossing_rate(y, frame_length=N_FFT, hop_length=HOP),
    ),
    "RMS": Feature(
        batched=prosody.root_mean_square,
        single=lambda y: librosa.feature.rms(y=y, frame_length=N_FFT, hop_length=HOP),
    ),
}


def main() -> None:
    """Print the table of times."""
    clips = synthesise_clips(CLIPS)
    print(f"{'feature':<12}{'threads':>8}{'librosa ms/clip':>18}{'prelude ms/clip':>18}{'ratio':>8}")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with threadpool_limits(threads):
            for name, feature in {**FEATURES, "all": Feature(batched=compute_batched, single=compute_single)}.items():
                _compare(name, feature, clips, threads=threads)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        pitch = Feature(batched=_pitch_batched, single=_pitch_single)
        _compare("pYIN", pitch, clips[:PITCH_CLIPS], threads=1, passes=1)


def _compare(name: str, feature: Feature, clips: list[np.ndarray], *, threads: int, passes: int = PASSES) -> None:
    batch = torch.from_numpy(np.stack(clips))
    feature.single(clips[0])
    feature.batched(batch)
    single = 1000 * _shortest_time(lambda: [feature.single(clip) for clip in clips], passes) / len(clips)
    batched = 1000 * _shortest_time(lambda: feature.batched(batch), passes) / len(clips)
    print(f"{name:<12}{threads:>8}{single:>18.2f}{batched:>18.2f}{single / batched:>7.1f}x", flush=True)


def _shortest_time(function: Callable[[], object], passes: int) -> float:
    durations = []
    for _ in range(passes):
        started = time.perf_counter()
        function()
        durations.append(time.perf_counter() - started)
    return min(durations)


def synthesise_clips(number: int) -> list[np.ndarray]:
    """Synthesise some clips."""
    rng, time_axis = np.random.default_rng(0), np.arange(SECONDS * RATE) / RATE
    return [_synthesise_clip(rng, time_axis) for _ in range(number)]


def _synthesise_clip(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    """Synthesise decaying notes and noise, with peaks for the tuning, onsets for the tempogram and pitch for pYIN."""
    notes = [
        np.sin(2 * np.pi * 110 * 2 ** (rng.integers(36) / 12) * seconds) * np.exp(-4 * ((seconds + shift) % 0.6))
        for shift in rng.random(3)
    ]
    return (0.2 * np.sum(notes, axis=0) + 0.01 * rng.standard_normal(len(seconds))).astype(np.float32)


def _power(audio: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(audio, n_fft=N_FFT, hop_length=HOP)) ** 2


def compute_batched(batch: torch.Tensor) -> list[torch.Tensor]:
    """Compute all features of a batch from one transform."""
    power = spectral.power_spectrum(batch)
    return [
        spectral.log_power_spectrum(power=power),
        spectral.mfcc(power=power, sample_rate=RATE),
        spectral.chroma(power=power, sample_rate=RATE),
        rhythm.tempogram(power=power, sample_rate=RATE),
        prosody.zero_crossing_rate(batch),
        prosody.root_mean_square(batch),
    ]


def compute_single(audio: np.ndarray) -> list[object]:
    """Compute all features of a clip by librosa."""
    return [feature.single(audio) for feature in FEATURES.values()]


def _pitch_batched(batch: torch.Tensor) -> list[object]:
    return [prosody.pyin(clip, sample_rate=RATE, lowest_hz=MIN_HZ, highest_hz=MAX_HZ) for clip in batch.numpy()]


def _pitch_single(audio: np.ndarray) -> object:
    return librosa.pyin(audio, sr=RATE, fmin=MIN_HZ, fmax=MAX_HZ, hop_length=HOP)


if __name__ == "__main__":
    main()
