"""PASE+: PASE with a quasi-recurrent layer and dense skips (Ravanelli et al. 2020; Wu et al. 2021, section 3.1).

Built as class `WaveFe` of the PASE code with `cfg/frontend/PASE+.cfg`, and with the same state-dict keys, so that
official checkpoints load.
"""

from __future__ import annotations

from torch import Tensor, nn

from workflow_scripts.networks import blocks
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.normalisation import NormalisedConvolution
from workflow_scripts.networks.qrnn import Qrnn
from workflow_scripts.networks.sizes.pase import HOP, SAMPLE_RATE


class PasePlus(Encoder):
    """The PASE+ encoder.

    The official configuration asks for a recurrent layer in both directions, but its code gives one that runs forward
    in time and is as wide as both; so does this one.
    """

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(self, *, embedding: int, width: float, rnn_layers: int) -> None:
        """Build the network with weights from torch's global generator.

        `embedding` is the number of output channels, `width` a factor on the channels of the blocks and of the
        `rnn_layers` recurrent layers.
        """
        super().__init__()
        self.embedding_size = embedding
        *skipped, last = blocks.scale_channels(width)
        self.denseskips = nn.ModuleList(nn.Conv1d(size, embedding, 1, bias=False) for size in skipped)
        self.blocks = blocks.build_blocks(width)
        self.rnn = Qrnn(last, last, layers=rnn_layers)
        self.W = NormalisedConvolution(last, embedding, 1)
        self.norm_out = nn.BatchNorm1d(embedding, affine=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, embedding, samples // 160), rounded as PASE's.

        Raises `UserError` below 471 samples.
        """
        blocks.require_samples(audio)
        # convolution blocks; the output of each but the last also enters a dense skip
        maps, outputs = audio[:, None], []
        for block in self.blocks:
            maps = block(maps)
            outputs.append(maps)
        # recurrent layers and the projection to the embedding, in float32 under autocast too
        frames = self.W(self.rnn(maps)[0]).to(self.W.weight.dtype)
        # dense skips, averaged to the frame rate of the embedding
        for skip, skipped in zip(self.denseskips, outputs[:-1], strict=True):
            frames = frames + skip(_average(skipped, frames.shape[-1]))
        return self.norm_out(frames)


def _average(maps: Tensor, frames: int) -> Tensor:
    """Average (batch, channels, more frames) over time in `frames` equal parts; a remainder at the end is dropped.

    The official code averages behind the projection, which gives the same, since that is linear and has no bias, and
    costs 160 times as much for the first block.
    """
    factor = maps.shape[-1] // frames
    return maps[..., : frames * factor].unflatten(-1, (frames, factor)).mean(dim=-1)
