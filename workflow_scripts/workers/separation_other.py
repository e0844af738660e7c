"""Separate all but vocals, drums and bass, the melodic accompaniment (Garoufis et al. 2024): see `separation`."""

from __future__ import annotations

from workflow_scripts.workers._separation import Options, SeparationWorker, one_of

PRECOMPUTED = False
MIX = one_of("other")


def build(options: Options, *, embedding_size: int) -> SeparationWorker:  # noqa: ARG001 - one shape for all
    """Build the worker."""
    return SeparationWorker(MIX)
