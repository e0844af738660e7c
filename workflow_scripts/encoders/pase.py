"""PASE: a Sinc convolution and seven convolution blocks (Pascual et al. 2019; Wu et al. 2021, section 3.1).

Built as class `WaveFe` of the PASE code with `cfg/frontend/PASE.cfg`, and with the same state-dict keys, so that
official checkpoints load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import blocks
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.normalised import NormalisedConvolution

TRAINABLE = True
SAMPLE_RATE = 16000
HOP = blocks.HOP  # samples


@dataclass(frozen=True, kw_only=True)
class Options:
    """`embedding`: channels of the output (the paper's 512; PASE.cfg: 100). `width`: factor on the blocks' channels."""

    embedding: int = 512
    width: float = 1.0

    def __post_init__(self) -> None:
        """Raise `UserError` for a network that cannot be built."""
        if self.embedding < 1 or not self.width > 0:
            raise UserError(f"pase needs embedding >= 1 and width > 0, not {self.embedding} and {self.width}")


class Pase(Encoder):
    """The PASE encoder."""

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(self, options: Options) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        self.embedding_size = options.embedding
        self.blocks = blocks.build_blocks(options.width)
        self.W = NormalisedConvolution(blocks.narrowed(options.width)[-1], options.embedding, 1)
        self.norm_out = nn.BatchNorm1d(options.embedding, affine=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, embedding, samples // 160).

        As in the official code there is one frame more when samples % 160 > 150, since the second block rounds up.
        Raises `UserError` below 471 samples.
        """
        blocks.require_samples(audio)
        maps = audio[:, None]
        for block in self.blocks:
            maps = block(maps)
        return self.norm_out(self.W(maps).to(self.W.weight.dtype))  # float32 under autocast too


def build(options: Options) -> Pase:
    """Build an untrained PASE."""
    return Pase(options)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    if any(key.startswith("denseskips.") for key in shapes):
        raise UserError("it has dense skips, so it is a PASE+: import it as pase_plus")
    return Options(embedding=shapes["W.weight"][0], width=blocks.width_of(shapes))
