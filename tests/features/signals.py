"""Audio to compare features on: numerically difficult signals, and recordings."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from hypothesis import strategies as st

RATE = 16000
RECORDINGS = Path(__file__).parents[3] / "shared" / "audio"
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def silence(samples: int) -> np.ndarray:
    return np.zeros(samples, np.float32)


def constant(samples: int) -> np.ndarray:
    return np.ones(samples, np.float32)


def square(samples: int) -> np.ndarray:
    """Make a square wave of full scale."""
    return np.where(np.arange(samples) % 80 < 40, 1, -1).astype(np.float32)


def clicks(samples: int) -> np.ndarray:
    return (np.arange(samples) % 977 == samples // 3 % 977).astype(np.float32)


def noise(samples: int) -> np.ndarray:
    return (0.2 * np.random.default_rng(samples).standard_normal(samples)).astype(np.float32)


def quiet_noise(samples: int) -> np.ndarray:
    """Make noise around the smallest step of 16 bits."""
    return noise(samples) * np.float32(1e-4)


def tone(samples: int) -> np.ndarray:
    """Make a detuned sine, which the chroma filters must be tuned to."""
    return (0.9 * np.sin(2 * np.pi * 446.1 * np.arange(samples) / RATE)).astype(np.float32)


def notes(samples: int) -> np.ndarray:
    """Make notes struck twice a second, so that there are onsets."""
    seconds = np.arange(samples) / RATE
    partials = sum(np.sin(2 * np.pi * f * seconds + f) / f * 200 for f in (196.9, 247.3, 393.1, 1333.7))
    return (0.3 * partials * np.exp(-6 * (seconds % 0.5))).astype(np.float32)


def glide(samples: int) -> np.ndarray:
    seconds = np.arange(samples) / RATE
    return (0.5 * np.sin(2 * np.pi * 90 * seconds * (1 + seconds))).astype(np.float32)


SIGNALS = [silence, constant, square, clicks, noise, quiet_noise, tone, notes, glide]

#: any signal of any length from one sample to 1.25 s, lengths around the hop and the window among them
audio = st.builds(
    lambda make, samples: make(samples),
    st.sampled_from(SIGNALS),
    st.integers(1, 20000) | st.sampled_from([1, 2, 159, 160, 161, 1024, 2047, 2048, 2049]),
)


def recordings(*, every: int, seconds: float) -> list[np.ndarray]:
    """Read the first `seconds` of every `every`th shared recording, mono at 16 kHz."""
    if not (RECORDINGS / "manifest.csv").exists():
        pytest.skip(f"no recordings in {RECORDINGS}")
    with (RECORDINGS / "manifest.csv").open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if not row["path"].startswith("broken") and row["decode_soundfile"] == "ok"
        ]
    return [_decode(RECORDINGS / row["path"], seconds) for row in rows[::every]]


def _decode(path: Path, seconds: float) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples[: int(seconds * rate)].mean(axis=1)
    return soxr.resample(mono, rate, RATE).astype(np.float32)


def assert_equal(ours: torch.Tensor, theirs: np.ndarray, *, absolute: float = 1e-5) -> None:
    """Assert a relative error of at most 1e-4 of the clip's largest value, and of each value that is not near zero."""
    values = ours.cpu().numpy()
    assert values.shape == theirs.shape
    assert values.dtype == np.float32
    scale = np.abs(theirs).max()
    assert np.abs(values - theirs).max() <= 1e-4 * scale
    np.testing.assert_allclose(values, theirs, rtol=1e-4, atol=absolute * scale)
