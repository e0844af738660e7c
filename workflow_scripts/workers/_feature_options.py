"""Options of the workers that regress frame features."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from workflow_scripts.levels.options import LevelOptions

# librosa's highest order of deltas in common use; the PASE code has no higher one.
MAX_DELTAS = 2


class FeatureOptions(LevelOptions):
    """Options of every worker that regresses features."""

    targets: Literal["raw", "normalised"] = "raw"
    """`raw` values, which Wu et al.'s Fig. 4 implies, or `normalised` to mean 0 and standard deviation 1 in each
    channel, as in the PASE code."""
    start_at_mean: bool = False
    """Initialise the head's last bias with the mean target, which spares the first hundreds of steps and leaves the
    loss as it is."""
    neighbours: int = Field(default=1, ge=1)
    """Frames predicted jointly around each frame, an odd number (1 in workers.cfg, 7 in workers+.cfg)."""
    hidden: int = Field(default=256, ge=1)
    """Channels of the head's hidden layer."""

    @field_validator("neighbours")
    @classmethod
    def _require_odd(cls, neighbours: int) -> int:
        """Raise `ValueError` for a window without a frame in its middle."""
        if neighbours % 2 == 0:
            raise ValueError(f"neighbours must be an odd number of frames, not {neighbours}")
        return neighbours


class DefinedOptions(FeatureOptions):
    """Options of the workers whose targets the paper and the PASE code define differently."""

    definition: Literal["paper", "official"] = "paper"
    """Target as the `paper` describes it (librosa, windows of 2048 samples), or as the `official` PASE code computes
    it, see `features.official`."""
    deltas: int = Field(default=0, ge=0, le=MAX_DELTAS)
    """Orders of change over time that are predicted below the features (0 in workers.cfg, 2 in workers+.cfg). They are
    computed on the chunk that the encoder receives, with the last frame, which the PASE code drops before."""
