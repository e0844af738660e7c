"""PASE: a Sinc convolution and seven convolution blocks (Pascual et al. 2019; Wu et al. 2021, section 3.1).

Built as class `WaveFe` of the PASE code with `cfg/frontend/PASE.cfg`, and with the same state-dict keys, so that
official checkpoints load.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.errors import UserError
from workflow_scripts.networks.sinc import SincConvolution
from workflow_scripts.training.shapes import Encoder

TRAINABLE = True
SAMPLE_RATE = 16000

# PASE.cfg; the defaults of the official class are another, smaller network
CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)
KERNELS = (251, 20, 11, 11, 11, 11, 11, 11)
STRIDES = (1, 10, 2, 1, 2, 1, 2, 2)
HOP = 160  # product of the strides: 10 ms
FEWEST_CHANNELS = 4  # below this a narrowed network has too few Sinc filters to tell low from high
SHORTEST = 471  # samples: with fewer, the last block gets no more frames than its reflection padding needs


@dataclass(frozen=True, kw_only=True)
class Options:
    """`embedding`: channels of the output (the paper's 512; PASE.cfg: 100). `width`: factor on the blocks' channels."""

    embedding: int = 512
    width: float = 1.0

    def __post_init__(self) -> None:
        """Raise `UserError` for a network that cannot be built."""
        if self.embedding < 1 or not self.width > 0:
            raise UserError(f"pase needs embedding >= 1 and width > 0, not {self.embedding} and {self.width}")


class Block(nn.Module):
    """Reflection padding, convolution, batch normalisation and PReLU (class `FeBlock` of the PASE code)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int) -> None:
        """Build the block; the first one (one input channel) convolves with Sinc filters, which pad by themselves."""
        super().__init__()
        half = kernel // 2
        if inputs == 1:
            self.conv: nn.Module = SincConvolution(filters=outputs, kernel=kernel, sample_rate=SAMPLE_RATE)
            self.padding = (0, 0)
        else:
            self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride)
            self.padding = (half - 1, half) if stride > 1 or kernel % 2 == 0 else (half, half)
        self.norm = nn.BatchNorm1d(outputs)
        self.act = nn.PReLU(outputs, init=0.0)  # starts as a ReLU

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, about frames / stride)."""
        if any(self.padding):
            maps = functional.pad(maps, self.padding, mode="reflect")
        return self.act(self.norm(self.conv(maps)))


class Pase(Encoder):
    """The PASE encoder."""

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(self, options: Options) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        self.embedding_size = options.embedding
        channels = [max(FEWEST_CHANNELS, round(size * options.width)) for size in CHANNELS]
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, kernel=kernel, stride=stride)
            for (inputs, outputs), kernel, stride in zip(pairwise([1, *channels]), KERNELS, STRIDES, strict=True)
        )
        self.W = nn.Conv1d(channels[-1], options.embedding, 1)
        self.norm_out = nn.BatchNorm1d(options.embedding, affine=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, embedding, samples // 160).

        As in the official code there is one frame more when samples % 160 > 150, since the second block rounds up.
        Raises `UserError` below 471 samples.
        """
        if audio.shape[-1] < SHORTEST:
            raise UserError(
                f"PASE needs at least {SHORTEST} samples (29.4 ms), got {audio.shape[-1]}: leave such clips out"
            )
        maps = audio[:, None]
        for block in self.blocks:
            maps = block(maps)
        return self.norm_out(self.W(maps).to(self.W.weight.dtype))  # float32 under autocast too


def build(options: Options) -> Pase:
    """Build an untrained PASE."""
    return Pase(options)
