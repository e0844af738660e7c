"""The parts of contrastive predictive coding (van den Oord et al. 2018; Spijkervet 2021, section 5.2).

Built as `modules/cpc` of the CLMR code's first version, with the same state-dict keys.
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

FILTERS = 512
CONTEXT = 256  # of the recurrent layer
KERNELS = (10, 6, 4, 4, 4, 2, 2)
STRIDES = (5, 3, 2, 2, 2, 2, 2)
PADDINGS = (2, 2, 2, 2, 1, 1, 1)
HOP = prod(STRIDES)  # 480 samples, 21.8 ms; the thesis says 490 and 5 ms, which its strides do not give
SHORTEST = HOP  # samples: with far fewer, a layer gets no frame


class ConvolutionEncoder(nn.Module):
    """Seven strided convolutions with ReLU, without normalisation (class `Encoder` of the CLMR code)."""

    def __init__(self, filters: int) -> None:
        """Build the layers."""
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = [1] + [filters] * (len(KERNELS) - 1)
        for number, (size, kernel, stride, padding) in enumerate(zip(inputs, KERNELS, STRIDES, PADDINGS, strict=True)):
            convolution = nn.Conv1d(size, filters, kernel, stride=stride, padding=padding)
            layers[f"layer-{number}"] = nn.Sequential(convolution, nn.ReLU(inplace=True))
        self.seq = nn.Sequential(layers)

    def forward(self, audio: Tensor) -> Tensor:
        """Map audio (batch, samples) to frames (batch, filters, about samples / 480)."""
        return self.seq(audio[:, None])


class Autoregressor(nn.Module):
    """A recurrent layer that sums up the frames so far (class `Autoregressor` of the CLMR code)."""

    def __init__(self, inputs: int, context: int) -> None:
        """Build the layer."""
        super().__init__()
        self.autoregressor = nn.GRU(inputs, context, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to the context (batch, context, frames); it starts at zero."""
        return self.autoregressor(frames.transpose(1, 2).contiguous())[0].transpose(1, 2)


def split(frames: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Split frames (batch, channels, frames) into what is predicted and the last `context` channels, which predict."""
    return frames[:, :-context], frames[:, -context:]
