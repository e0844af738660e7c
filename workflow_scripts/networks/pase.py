"""PASE: a Sinc convolution and seven convolution blocks (Pascual et al. 2019; Wu et al. 2021, section 3.1).

Built as class `WaveFe` of the PASE code with `cfg/frontend/PASE.cfg`, and with the same state-dict keys, so that
official checkpoints load.
"""

from __future__ import annotations

from torch import Tensor, nn

from workflow_scripts.networks import blocks
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.normalisation import NormalisedConvolution
from workflow_scripts.networks.sizes.pase import HOP, SAMPLE_RATE


class Pase(Encoder):
    """The PASE encoder."""

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(self, *, embedding: int, width: float) -> None:
        """Build the network with weights from torch's global generator.

        `embedding` is the number of output channels, `width` a factor on the channels of the blocks.
        """
        super().__init__()
        self.embedding_size = embedding
        self.blocks = blocks.build_blocks(width)
        self.W = NormalisedConvolution(blocks.scale_channels(width)[-1], embedding, 1)
        self.norm_out = nn.BatchNorm1d(embedding, affine=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, embedding, samples // 160).

        As in the official code there is one frame more when samples % 160 > 150, since the second block rounds up.
        Raises `UserError` below 471 samples.
        """
        blocks.require_samples(audio)
        maps = audio[:, None]
        for block in self.blocks:
            maps = block(maps)
        # float32 under autocast too
        return self.norm_out(self.W(maps).to(self.W.weight.dtype))
