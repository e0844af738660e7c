"""Options of the workers whose targets the paper and the PASE code define differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workflow_scripts.core.errors import UserError
from workflow_scripts.workers._feature_regression import FeatureOptions

MOST_DELTAS = 2  # librosa's curvature; the PASE code goes no further


@dataclass(frozen=True, kw_only=True)
class DefinedOptions(FeatureOptions):
    """Options of every feature worker, and what the target is.

    `definition`: as the `paper` describes it (librosa, windows of 2048 samples), or as the `official` PASE code
    computes it, see `features.official`. `deltas`: how many orders of change over time are predicted below the
    features (0 in workers.cfg, 2 in workers+.cfg); they are of the cut the encoder hears, with the last frame, which
    the PASE code drops before it takes them.
    """

    definition: Literal["paper", "official"] = "paper"
    deltas: int = 0

    def __post_init__(self) -> None:
        """Raise `UserError` for a target nobody defined."""
        super().__post_init__()
        if self.definition not in ("paper", "official"):
            raise UserError(f"definition must be paper or official, not {self.definition!r}")
        if not 0 <= self.deltas <= MOST_DELTAS:
            raise UserError(f"deltas must be 0 to {MOST_DELTAS}, not {self.deltas}")
