"""The Short-Chunk CNN as a head on maps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.head_interfaces import MapsHead
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.short_chunk_cnn import Adaptation, ShortChunkCnn
from workflow_scripts.networks.sizes.short_chunk_cnn import FRAMES
from workflow_scripts.networks.sizes.spectrogram import HOP, sample_count


class ShortChunkCnnHead(MapsHead):
    """Windows of 384 frames to one logit per class."""

    samples = sample_count(FRAMES)
    hop = FRAMES * HOP
    first_kernel = "network.blocks.0.conv1.weight"

    def __init__(
        self,
        *,
        sources: int,
        decoder: Sequence[int],
        outputs: int,
        adaptation: Adaptation,
        width: float,
        momentum: float,
    ) -> None:
        """Build the network, whose arguments these are, with weights from torch's global generator."""
        super().__init__()
        self.network = ShortChunkCnn(
            sources=sources,
            decoder=decoder,
            outputs=outputs,
            adaptation=adaptation,
            width=width,
            momentum=momentum,
        )

    def forward(self, maps: Maps) -> Tensor:
        """Compute logits (batch, outputs)."""
        return self.network(maps)

    def initialise_from(self, alone: MapsHead) -> None:
        """Continue from the CNN alone; `UserError` for `concatenation` and `none`, whose blocks have other channels."""
        if self.network.log_before_mel:
            raise UserError(
                "short_chunk_cnn: three stages need adaptation sum, whose blocks are those of the CNN alone"
            )
        super().initialise_from(alone)
