"""musicnn, a tagger trained with labels, as a reference (Pons and Serra 2019).

The package `musicnn` on PyPI holds its weights, trained on MagnaTagATune or on the Million Song Dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.musicnn import SAMPLE_RATE, WINDOW

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.networks.musicnn import Musicnn

LABEL = "musicnn"
TRAINABLE = True


class Options(LevelOptions):
    """Options of musicnn."""

    layer: Literal["pooled", "penultimate"] = "pooled"
    """Output: maximum and mean over time of all maps of a window (1,506 values), or the layer before the tags (200).
    """


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return SAMPLE_RATE


def hop(options: Options) -> int:
    """Return the samples between two frames: those of a window."""
    return WINDOW


def build(options: Options) -> Musicnn:
    """Build an untrained musicnn."""
    from workflow_scripts.networks.musicnn import Musicnn

    return Musicnn(layer=options.layer)


def official_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's weights among those of a checkpoint of the musicnn package."""
    from workflow_scripts.networks import musicnn

    return musicnn.select_encoder_weights(state)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Return the options that the shapes of a state dict show: none, all such networks have the same shapes."""
    return Options()
