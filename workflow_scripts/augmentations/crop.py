"""Random crops alone: two pieces of each clip are drawn independently and stay as recorded (thesis, section 3.1).

The pieces are drawn wherever a worker needs two views, so the other augmentations include crops too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "crops alone"


class Options(LevelOptions):
    """No options: the length of a piece, and whether it comes from a clip or from a song, are numbers of the recipe."""


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build a chain without effects."""
    from workflow_scripts.effects.chain import Chain

    return Chain([])
