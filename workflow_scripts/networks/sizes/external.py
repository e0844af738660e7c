"""Sizes of encoders whose network is not part of Prelude."""

from __future__ import annotations

MAX_SECONDS = 30.0  # of a piece that is encoded at once: bounds the memory, whatever the clip
SAMPLE_RATE = 16000  # Hz: that of most published encoders of audio
