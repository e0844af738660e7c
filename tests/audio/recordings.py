"""Small sound files for tests, written by libsndfile or by the bundled ffmpeg."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile


def tone(seconds: float, *, rate: int = 16_000, pitch: float = 440.0, level: float = 0.5) -> np.ndarray:
    """Make a sine, float32 (samples,)."""
    return (level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_tone(path: Path, seconds: float = 1.0, *, rate: int = 16_000, pitch: float = 440.0) -> Path:
    """Write a sine in the format of the file name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, rate=rate, pitch=pitch), rate)
    return path


def encode(source: Path, target: Path, *options: str) -> Path:
    """Convert `source` to the format of the file name of `target`."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-y", "-i", source, *options, target], check=True)
    return target
