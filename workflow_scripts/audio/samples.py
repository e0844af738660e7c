"""Samples as corpora store them: int16."""

from __future__ import annotations

FULL_SCALE = 32768  # sample value of amplitude 1.0
BYTES_PER_SAMPLE = 2
