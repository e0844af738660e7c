"""No augmentation: the encoder receives the audio as recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "none"


class Options(LevelOptions):
    """No options."""


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build a chain without effects."""
    from workflow_scripts.effects.chain import Chain

    return Chain([])
