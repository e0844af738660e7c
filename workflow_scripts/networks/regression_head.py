"""The head that regresses frame features, and targets of several neighbouring frames."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class HiddenLayer(nn.Module):
    """Convolution over `context` frames, then PReLU (class `MLPBlock` of the PASE code)."""

    def __init__(self, inputs: int, outputs: int, *, context: int = 1) -> None:
        """Build the layer; `context` is odd."""
        super().__init__()
        assert context % 2 == 1, "the context is centred on a frame, so it must be odd"
        self.W = nn.Conv1d(inputs, outputs, context, padding=context // 2)
        self.act = nn.PReLU(outputs, init=0.25)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, frames)."""
        return self.act(self.W(frames))


class RegressionHead(nn.Module):
    """Multi-layer perceptron on each frame (class `MLPMinion` of the PASE code, with its key names)."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        hidden: int = 256,
        hidden_layers: int = 1,
        context: int = 1,
        neighbours: int = 1,
    ) -> None:
        """Build the head for `outputs` values in each of `neighbours` frames around every frame.

        Only the first layer sees `context` frames.
        """
        super().__init__()
        sizes = [inputs, *[hidden] * hidden_layers]
        self.blocks = nn.ModuleList(
            HiddenLayer(size, hidden, context=context if number == 0 else 1) for number, size in enumerate(sizes[:-1])
        )
        last_context = 1 if hidden_layers else context
        self.W = nn.Conv1d(sizes[-1], outputs * neighbours, last_context, padding=last_context // 2)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs x neighbours, frames)."""
        for block in self.blocks:
            frames = block(frames)
        return self.W(frames)


def stack_neighbours(target: Tensor, neighbours: int) -> Tensor:
    """Stack the targets of `neighbours` (odd) frames around each frame, with zeros beyond the edges.

    (batch, channels, frames) becomes (batch, channels x neighbours, frames), channel by channel, each in order of time
    (class `ContextualizedLoss` of the PASE code).
    """
    if neighbours == 1:
        return target
    batch, channels, frames = target.shape
    around = functional.pad(target, (neighbours // 2, neighbours // 2)).unfold(-1, neighbours, 1)
    return around.transpose(2, 3).reshape(batch, channels * neighbours, frames)
