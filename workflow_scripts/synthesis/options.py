"""What every twin is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TwinOptions:
    """Size and seed of a twin; equal options give equal label files and equal audio."""

    clips: int  # audio clips described by the label files
    clip_seconds: float  # length of each clip
    seed: int = 0
    defects: bool = False  # also write silent, truncated, empty and duplicated files, as the real sets have them
