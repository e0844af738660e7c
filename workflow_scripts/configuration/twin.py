"""Size of a twin, the synthetic stand-in of a data set."""

from __future__ import annotations

from pydantic import Field

from workflow_scripts.core.validation import StrictModel


class TwinOptions(StrictModel):
    """Size and seed of a twin; equal options give equal label files and equal audio."""

    clips: int = Field(ge=1)
    """audio clips described by the label files"""
    clip_seconds: float = Field(gt=0)
    """length of a clip in seconds"""
    seed: int = Field(0, ge=0)
    """seed of its composition"""
    defects: bool = False
    """also write silent, truncated, empty and duplicated files, as the real sets have them"""
