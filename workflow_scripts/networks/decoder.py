"""Decoders that rebuild the waveform from frames, 160 samples from each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from workflow_scripts.networks import blocks
from workflow_scripts.networks.regression_head import HiddenLayer
from workflow_scripts.networks.sizes import pase

STRIDES = (4, 4, 10)  # of the decoder in workers.cfg and workers+.cfg


class Upsampling(nn.Module):
    """Transposed convolution, then PReLU (class `GDeconv1DBlock` of the PASE code)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int) -> None:
        """Build the layer; `kernel` is at least `stride`."""
        super().__init__()
        assert kernel >= stride, "a smaller kernel would leave gaps"
        padding, self.surplus = divmod(kernel - stride, 2)
        self.deconv = nn.ConvTranspose1d(inputs, outputs, kernel, stride=stride, padding=padding)
        self.act = nn.PReLU(outputs, init=0.0)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, frames x stride); a surplus sample at the end is cut off."""
        longer = self.deconv(frames)
        return self.act(longer[..., : longer.shape[-1] - self.surplus])


class WaveformDecoder(nn.Module):
    """Frames to samples, 4 x 4 x 10 = 160 a frame (class `DecoderMinion` of the PASE code, with its key names)."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int = 1,
        maps: Sequence[int] = (512, 256, 128),
        strides: Sequence[int] = STRIDES,
        kernels: Sequence[int] = (30, 30, 30),
        hidden: int = 64,
        hidden_layers: int = 1,
    ) -> None:
        """Build one transposed convolution per entry of `maps`, then `hidden_layers` of kernel 1 and the output."""
        super().__init__()
        blocks: list[nn.Module] = []
        size = inputs
        for outputs_of_block, kernel, stride in zip(maps, kernels, strides, strict=True):
            blocks.append(Upsampling(size, outputs_of_block, kernel=kernel, stride=stride))
            size = outputs_of_block
        for _ in range(hidden_layers):
            blocks.append(HiddenLayer(size, hidden))
            size = hidden
        self.blocks = nn.ModuleList(blocks)
        self.W = nn.Conv1d(size, outputs, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, frames x product of the strides)."""
        for block in self.blocks:
            frames = block(frames)
        return self.W(frames)


class MirroredDecoder(nn.Module):
    """The encoder's convolution blocks in reverse order, as transposed convolutions (Wu et al. 2021, section 3.2).

    Kernels, strides and channels are those of PASE's seven blocks behind the Sinc filters; a last layer of kernel 1
    replaces these. As in the official decoder, PReLU follows each layer and nothing is normalised.
    """

    def __init__(self, *, inputs: int, width: float = 1.0) -> None:
        """Build the decoder; `width` is the factor on its channels."""
        super().__init__()
        # input channels of the encoder's blocks, in reverse
        sizes = [*reversed(blocks.scale_channels(width)[:-1])]
        layers = zip(pairwise([inputs, *sizes]), reversed(pase.KERNELS[1:]), reversed(pase.STRIDES[1:]), strict=True)
        self.blocks = nn.ModuleList(
            Upsampling(size, outputs, kernel=kernel, stride=stride) for (size, outputs), kernel, stride in layers
        )
        self.W = nn.Conv1d(sizes[-1], 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, 1, frames x 160)."""
        for block in self.blocks:
            frames = block(frames)
        return self.W(frames)
