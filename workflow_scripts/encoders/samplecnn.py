"""SampleCNN at 22050 Hz, the encoder of CLMR (Lee et al. 2018; Spijkervet 2021, section 3.3).

The other sample rates are encoders of their own (`samplecnn_16000` and so on), since each hears corpora of its rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import clmr, samplecnn, widths
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = True
SAMPLE_RATE = 22050
HOP = samplecnn.window(samplecnn.POOLING[SAMPLE_RATE])  # samples


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every SampleCNN.

    `width`: factor on the blocks' channels. `supervised_dropout`: share of the output that is dropped while the network
    learns from labels alone (thesis, Table 2.4); it is not part of the pre-trained network.
    """

    width: float = 1.0
    supervised_dropout: float = 0.5

    def __post_init__(self) -> None:
        """Raise `UserError` for a network that cannot be built."""
        if not self.width > 0 or not 0 <= self.supervised_dropout < 1:
            raise UserError(
                "samplecnn needs width > 0 and supervised_dropout from 0 to below 1, "
                f"not {self.width} and {self.supervised_dropout}"
            )


class SampleCnn(Encoder):
    """SampleCNN without its classifier: one frame for each window of 2.6 to 2.7 seconds.

    A clip is evaluated window by window, as CLMR does it.
    """

    def __init__(self, options: Options, *, sample_rate: int) -> None:
        """Build the network for `sample_rate` (Hz) with weights from torch's global generator."""
        super().__init__()
        pooling = samplecnn.POOLING[sample_rate]
        self.sample_rate = sample_rate
        self.hop = self.crop_length = self.window = samplecnn.window(pooling)
        self.sequential = samplecnn.build_blocks(pooling, width=options.width)
        self.embedding_size = widths.narrowed(samplecnn.CHANNELS, options.width)[-1]
        self.supervised_dropout = options.supervised_dropout
        self.dropout = nn.Dropout(0.0)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, 512 x width, samples // window).

        Consecutive windows without overlap; what is left at the end is dropped. Raises `UserError` below one window.
        """
        windows = audio.shape[-1] // self.window
        if not windows:
            raise UserError(
                f"SampleCNN at {self.sample_rate} Hz needs at least {self.window} samples "
                f"({self.window / self.sample_rate:.2f} s), got {audio.shape[-1]}: choose a longer chunk"
            )
        cut = audio[..., : windows * self.window].reshape(-1, 1, self.window)
        maps = self.dropout(self.sequential(cut).float())  # float32 under autocast too
        return maps.view(len(audio), windows, -1).transpose(1, 2)

    def chunk_length(self, seconds: float) -> int:
        """Samples of the whole windows nearest to `seconds`, at least one."""
        return max(1, round(seconds * self.sample_rate / self.window)) * self.window

    def start_supervised(self) -> None:
        """Drop a share of the output from now on, in training mode."""
        self.dropout.p = self.supervised_dropout


def build(options: Options) -> SampleCnn:
    """Build an untrained SampleCNN."""
    return SampleCnn(options, sample_rate=SAMPLE_RATE)


official_weights = clmr.samplecnn_weights


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    return Options(width=samplecnn.width_of(shapes, sample_rate=SAMPLE_RATE))
