"""The network of SampleCNN at four sample rates (Lee et al. 2018; Spijkervet 2021, sections 3.3 and 5.1.3).

Built as class `SampleCNN` of the CLMR code, with the same state-dict keys. The thesis misprints its Table 5.1: one 3
is missing in two rows, and 43470 should read 43740, the product of the sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

from torch import nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import widths
from workflow_scripts.networks.normalised import NormalisedConvolution

STEM = 3  # kernel and stride of the first convolution
#: sample rate in Hz -> kernel and pooling size of each of the nine blocks after it (the CLMR code)
POOLING = {
    22050: (3, 3, 3, 3, 3, 3, 3, 3, 3),
    16000: (3, 3, 3, 3, 3, 3, 5, 2, 2),
    12000: (3, 3, 3, 3, 2, 4, 4, 2, 2),  # not in the thesis; from modules/sample_cnn_12000.py
    8000: (3, 3, 3, 2, 2, 4, 4, 2, 2),
}
CHANNELS = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512, 512)  # the code's eleven, not the thesis's ten


def window(pooling: Sequence[int]) -> int:
    """Samples that become one frame: 59049 at 22050 Hz."""
    return STEM * prod(pooling)


def build_blocks(pooling: Sequence[int], *, width: float) -> nn.Sequential:
    """Eleven blocks that map (batch, 1, window) to (batch, channels, 1), with weights from torch's global generator.

    Torch's own first values: the thesis names Kaiming's, but the routine for them in its code is never called.
    """
    first, *others = widths.narrowed(CHANNELS, width)
    last = others[-1]
    hidden = [
        # kernel 2, 4 or 5 with this padding changes the length before pooling; so do the published weights' networks
        _block(NormalisedConvolution(inputs, outputs, size, padding=1), nn.MaxPool1d(size))
        for (inputs, outputs), size in zip(pairwise([first, *others[:-1]]), pooling, strict=True)
    ]
    return nn.Sequential(
        _block(NormalisedConvolution(1, first, STEM, stride=STEM)),
        *hidden,
        _block(NormalisedConvolution(others[-2], last, 3, padding=1)),
    )


def _block(convolution: nn.Conv1d, *after: nn.Module) -> nn.Sequential:
    # in place, for the first maps of 96 windows take a gigabyte each
    return nn.Sequential(convolution, nn.BatchNorm1d(convolution.out_channels), nn.ReLU(inplace=True), *after)


def width_of(shapes: Mapping[str, Sequence[int]], *, sample_rate: int) -> float:
    """Width of the blocks in an encoder's state dict, from the shapes of its tensors.

    Raises `UserError` where no width gives these channels or the network is that of another rate, `LookupError` where
    a block is missing.
    """
    weights = [shapes[f"sequential.{number}.0.weight"] for number in range(len(CHANNELS))]
    kernels = tuple(shape[2] for shape in weights)[1:-1]
    if kernels != POOLING[sample_rate]:
        rates = [rate for rate, pooling in POOLING.items() if pooling == kernels]
        hint = f"it is that of {rates[0]} Hz" if rates else f"its kernels are {', '.join(map(str, kernels))}"
        raise UserError(f"it is no SampleCNN for {sample_rate} Hz: {hint}")
    found = [shape[0] for shape in weights]
    width = widths.width_giving(found, channels=CHANNELS)
    if width is None:
        raise UserError(f"its blocks have {', '.join(map(str, found))} channels, which no width of SampleCNN gives")
    return width
