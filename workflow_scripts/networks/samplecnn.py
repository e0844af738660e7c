"""SampleCNN, the encoder of CLMR, at four sample rates (Lee et al. 2018; Spijkervet 2021, sections 3.3 and 5.1.3).

Built as class `SampleCNN` of the CLMR code, with the same state-dict keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import widths
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.normalisation import NormalisedConvolution
from workflow_scripts.networks.sizes.samplecnn import CHANNELS, POOLING, STEM, window


class SampleCnn(Encoder):
    """SampleCNN without its classifier: one frame for each window of 2.6 to 2.7 seconds.

    A clip is evaluated window by window, as CLMR does it.
    """

    def __init__(self, *, sample_rate: int, width: float, supervised_dropout: float) -> None:
        """Build the network for `sample_rate` (Hz) with weights from torch's global generator.

        `width` is a factor on the channels of the blocks, `supervised_dropout` the share of the output that is dropped
        after `start_supervised`.
        """
        super().__init__()
        self.sample_rate = sample_rate
        self.hop = self.crop_length = self.window = window(sample_rate)
        self.sequential = build_blocks(POOLING[sample_rate], width=width)
        self.embedding_size = widths.scale_channels(CHANNELS, width)[-1]
        self.supervised_dropout = supervised_dropout
        self.dropout = nn.Dropout(0.0)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, 512 x width, samples // window).

        Windows follow each other without overlap; a remainder at the end is dropped. Raises `UserError` below one
        window.
        """
        windows = audio.shape[-1] // self.window
        if not windows:
            raise UserError(
                f"SampleCNN at {self.sample_rate} Hz needs at least {self.window} samples "
                f"({self.window / self.sample_rate:.2f} s), got {audio.shape[-1]}: choose a longer chunk"
            )
        cut = audio[..., : windows * self.window].reshape(-1, 1, self.window)
        # float32 under autocast too
        maps = self.dropout(self.sequential(cut).float())
        # not len(audio), of which an export to ONNX would make a constant
        return maps.view(audio.shape[0], windows, -1).transpose(1, 2)

    @property
    def convolution_blocks(self) -> nn.Sequential:
        """The eleven blocks."""
        return self.sequential

    def chunk_length(self, seconds: float) -> int:
        """Return the samples of the whole windows nearest to `seconds`, at least one."""
        return max(1, round(seconds * self.sample_rate / self.window)) * self.window

    def start_supervised(self) -> None:
        """Enable dropout on the output, as in training from scratch."""
        self.dropout.p = self.supervised_dropout


def build_blocks(pooling: Sequence[int], *, width: float) -> nn.Sequential:
    """Build eleven blocks that map (batch, 1, window) to (batch, channels, 1), with weights from torch's global
    generator.

    The initial values are torch's own: the thesis names Kaiming's, but the routine for them in its code is never
    called.
    """
    first, *others = widths.scale_channels(CHANNELS, width)
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


def read_sample_rate(shapes: Mapping[str, Sequence[int]]) -> int:
    """Return the sample rate in Hz of the encoder whose state dict has tensors of these shapes.

    Raises `UserError` where no rate has these kernels, `LookupError` where a block is missing.
    """
    kernels = tuple(shape[2] for shape in _weights(shapes))[1:-1]
    rate = next((rate for rate, pooling in POOLING.items() if pooling == kernels), None)
    if rate is None:
        rates = ", ".join(map(str, POOLING))
        raise UserError(f"it is no SampleCNN for {rates} Hz: its kernels are {', '.join(map(str, kernels))}")
    return rate


def read_width(shapes: Mapping[str, Sequence[int]]) -> float:
    """Return the width of the blocks in an encoder's state dict, from the shapes of its tensors.

    Raises `UserError` where no width gives these channels, `LookupError` where a block is missing.
    """
    channels = [shape[0] for shape in _weights(shapes)]
    width = widths.find_width(channels, channels=CHANNELS)
    if width is None:
        raise UserError(f"its blocks have {', '.join(map(str, channels))} channels, which no width of SampleCNN gives")
    return width


def _weights(shapes: Mapping[str, Sequence[int]]) -> list[Sequence[int]]:
    return [shapes[f"sequential.{number}.0.weight"] for number in range(len(CHANNELS))]
