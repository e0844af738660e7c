"""One fully connected layer on the clip's embedding.

Wu et al. 3.4: "followed by 1 fully connected layer"; their "simple MLP" has no hidden layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.networks.head_interfaces import Head

LABEL = "linear"
READS = "embedding"


class Options(LevelOptions):
    """Options of the linear head."""

    standardise: bool = True
    """Whether frozen embeddings are scaled to mean 0 and standard deviation 1 over the training split (all of it,
    whatever the fraction: no label is used), the same rule for every encoder. The paper is silent; without it one
    learning rate cannot serve both a trained encoder and the handcrafted floor, whose channels differ in scale by
    several powers of ten, and the floor would look weaker than it is."""


def build(options: Options, *, inputs: int, outputs: int) -> Head:
    """Build a linear head from `inputs` embedding values to `outputs` classes."""
    from workflow_scripts.networks.linear_head import LinearHead

    return LinearHead(inputs=inputs, outputs=outputs, standardise=options.standardise)
