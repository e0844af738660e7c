"""One learned weight for each layer of a transformer, then one fully connected layer (Yang et al. 2021, SUPERB).

For encoders whose embedding is that of all layers, one after the other: those with `layer: weighted`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.heads import linear

if TYPE_CHECKING:
    from workflow_scripts.networks.head_interfaces import Head

LABEL = "linear on weighted layers"
READS = "embedding"


class Options(linear.Options):
    """Options of the linear head, and the number of layers."""

    layers: int = Field(default=13, ge=1)
    """Layers in the embedding: those of the transformer and, for `transformers`, the input of the first."""


def build(options: Options, *, inputs: int, outputs: int) -> Head:
    """Build a head from `inputs` embedding values, equally many of each layer, to `outputs` classes."""
    from workflow_scripts.networks.weighted_layers_head import WeightedLayersHead

    if inputs % options.layers:
        raise UserError(
            f"head weighted_layers: an embedding of {inputs} values is not that of {options.layers} layers: correct "
            "`layers` of the head, and choose an encoder with `layer: weighted`"
        )
    return WeightedLayersHead(layers=options.layers, inputs=inputs, outputs=outputs, standardise=options.standardise)
