"""Separate vocals, other, drums and bass at once (Garoufis et al. 2024, "Multiple"): see `separation`."""

from __future__ import annotations

from workflow_scripts.pretraining.stem_mixtures import Mix
from workflow_scripts.workers._separation import FOUR, Options, SeparationWorker

PRECOMPUTED = False
#: two pieces of each source but one of bass, as the code has it
MIX = Mix(sources=FOUR, pieces=("vocals", "vocals", "other", "other", "drums", "drums", "bass"))


def build(options: Options, *, embedding_size: int) -> SeparationWorker:  # noqa: ARG001 - one shape for all
    """Build the worker."""
    return SeparationWorker(MIX)
