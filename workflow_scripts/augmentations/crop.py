"""Random crops alone: of each clip two pieces are drawn independently, and heard as recorded (thesis, section 3.1).

The pieces are drawn wherever a worker needs two views; so beside the other augmentations there are crops too.
"""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.augmentations._chain import Chain


@dataclass(frozen=True, kw_only=True)
class Options:
    """No options: how long a piece is, and whether it comes from a clip or from a song, are numbers of the recipe."""


def build(options: Options, *, sample_rate: int) -> Chain:  # noqa: ARG001 - one shape for all augmentations
    """Build a chain without effects."""
    return Chain([])
