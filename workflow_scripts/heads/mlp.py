"""One hidden layer with ReLU on the clip's embedding, then one fully connected layer.

The second head of CLMR (Spijkervet 2021, section 3.6; the CLMR code: 512 -> 512 -> classes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workflow_scripts.heads import linear

if TYPE_CHECKING:
    from workflow_scripts.networks.head_interfaces import Head

LABEL = "MLP"
READS = "embedding"


class Options(linear.Options):
    """Options of the linear head, and the size of the hidden layer."""

    hidden: int = Field(default=512, ge=1)
    """Units of the hidden layer."""


def build(options: Options, *, inputs: int, outputs: int) -> Head:
    """Build a head from `inputs` embedding values to `outputs` classes."""
    from workflow_scripts.networks.mlp_head import MlpHead

    return MlpHead(inputs=inputs, hidden=options.hidden, outputs=outputs, standardise=options.standardise)
