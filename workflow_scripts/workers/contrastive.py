"""Contrastive worker: identification of the two views of the same clip (Spijkervet 2021, sections 3.2 to 3.5).

Two pieces of each clip, augmented independently, are pulled together and pushed away from the pieces of all other clips
in the batch, over all processes. The encoder receives both views in one batch, so batch normalisation covers both; the
CLMR code passes them through one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.workers._contrastive import ContrastiveWorker

LABEL = "contrastive"
PRECOMPUTED = False
VIEWS = 2  # pieces of each clip in a batch


class Options(LevelOptions):
    """Options of the contrastive worker."""

    projector: Literal["nonlinear", "linear", "identity"] = "nonlinear"
    """Layers before the loss: `nonlinear` (two layers with ReLU between), `linear` or `identity` (thesis, section
    3.4)."""
    size: int = Field(default=128, ge=1)
    """Outputs of the projector, which the thesis does not give: 128 in the code of its time, 64 in the later code. The
    former also normalises them, which changes nothing, since the loss compares directions."""
    temperature: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    """Divisor of the cosine similarities (default of the code; thesis, Table 6.6)."""


def build(options: Options, *, embedding_size: int) -> ContrastiveWorker:
    """Build the worker for an encoder with `embedding_size` channels."""
    from workflow_scripts.workers._contrastive import ContrastiveWorker

    return ContrastiveWorker(
        projector=options.projector,
        size=options.size,
        temperature=options.temperature,
        embedding_size=embedding_size,
    )
