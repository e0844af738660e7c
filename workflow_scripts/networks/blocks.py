"""The convolution blocks that PASE and PASE+ share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import widths
from workflow_scripts.networks.normalisation import NormalisedConvolution
from workflow_scripts.networks.sinc import SincConvolution
from workflow_scripts.networks.sizes.pase import CHANNELS, KERNELS, MIN_SAMPLES, SAMPLE_RATE, STRIDES


class PaseBlock(nn.Module):
    """Reflection padding, convolution, batch normalisation and PReLU (class `FeBlock` of the PASE code)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int) -> None:
        """Build the block; the first one (one input channel) convolves with Sinc filters, which pad by themselves."""
        super().__init__()
        half = kernel // 2
        if inputs == 1:
            self.conv: nn.Module = SincConvolution(filters=outputs, kernel=kernel, sample_rate=SAMPLE_RATE)
            self.padding = (0, 0)
        else:
            self.conv = NormalisedConvolution(inputs, outputs, kernel, stride=stride)
            self.padding = (half - 1, half) if stride > 1 or kernel % 2 == 0 else (half, half)
        self.norm = nn.BatchNorm1d(outputs)
        # starts as a ReLU
        self.act = nn.PReLU(outputs, init=0.0)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, about frames / stride)."""
        if any(self.padding):
            maps = functional.pad(maps, self.padding, mode="reflect")
        return self.act(self.norm(self.conv(maps)))


def scale_channels(width: float) -> list[int]:
    """Return the channels of the eight blocks at a factor of `width`."""
    return widths.scale_channels(CHANNELS, width)


def read_width(shapes: Mapping[str, Sequence[int]]) -> float:
    """Return the width of the blocks in an encoder's state dict, a short decimal, from the shapes of its tensors.

    Raises `UserError` where no width gives these channels, `LookupError` where a block is missing.
    """
    channels = [shapes[f"blocks.{number}.norm.weight"][0] for number in range(len(CHANNELS))]
    width = widths.find_width(channels, channels=CHANNELS)
    if width is None:
        raise UserError(f"its blocks have {', '.join(map(str, channels))} channels, which no width of PASE gives")
    return width


def build_blocks(width: float) -> nn.ModuleList:
    """Build the Sinc block and the seven convolution blocks, with weights from torch's global generator."""
    return nn.ModuleList(
        PaseBlock(inputs, outputs, kernel=kernel, stride=stride)
        for (inputs, outputs), kernel, stride in zip(
            pairwise([1, *scale_channels(width)]), KERNELS, STRIDES, strict=True
        )
    )


def require_samples(audio: Tensor) -> None:
    """Raise `UserError` for audio (batch, samples) too short for the blocks' padding."""
    if audio.shape[-1] < MIN_SAMPLES:
        raise UserError(
            f"PASE needs at least {MIN_SAMPLES} samples (29.4 ms), got {audio.shape[-1]}: leave such clips out"
        )
