"""Sizes of the separation networks' spectrogram (Garoufis et al. 2024, section 3; the MSSPT code).

Frames of 512 samples every 160, without padding at the ends: 61,792 samples give 384 frames. Of the 257 bins the
networks see the lower 256, since the highest, at 8 kHz, would make their maps odd.
"""

from __future__ import annotations

SAMPLE_RATE = 16000  # Hz
WINDOW, HOP = 512, 160  # samples
BINS = WINDOW // 2  # without the highest
MELS = 128


def frame_count(samples: int) -> int:
    """Return the frames in `samples` samples; a remainder at the end has none."""
    return max(0, (samples - WINDOW) // HOP + 1)


def sample_count(frames: int) -> int:
    """Return the samples that `frames` frames cover: 61,792 for 384."""
    return (frames - 1) * HOP + WINDOW
