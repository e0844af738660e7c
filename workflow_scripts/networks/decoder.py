"""The decoder that rebuilds the waveform from frames."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from workflow_scripts.networks.heads import HiddenLayer


class Upsampling(nn.Module):
    """Transposed convolution, then PReLU (class `GDeconv1DBlock` of the PASE code)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int) -> None:
        """Build the layer; it gives `stride` times the frames where kernel - stride is even."""
        super().__init__()
        self.deconv = nn.ConvTranspose1d(inputs, outputs, kernel, stride=stride, padding=max(0, (kernel - stride) // 2))
        self.act = nn.PReLU(outputs, init=0.0)
        self.drops_last = (
            kernel % 2 == 1 and stride < kernel
        )  # the official code cuts the surplus sample of odd kernels

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, frames x stride)."""
        longer = self.deconv(frames)
        return self.act(longer[..., :-1] if self.drops_last else longer)


class WaveformDecoder(nn.Module):
    """Frames to samples, 4 x 4 x 10 = 160 a frame (class `DecoderMinion` of the PASE code, with its key names)."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int = 1,
        maps: Sequence[int] = (512, 256, 128),
        strides: Sequence[int] = (4, 4, 10),
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
