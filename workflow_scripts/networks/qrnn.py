"""Quasi-recurrent network, parallel in time (Bradbury et al. 2017, as PASE+ uses it)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class LinearRecurrence(torch.autograd.Function):
    """The values c[t] = keep[t] c[t - 1] + new[t] for all t, exact for any `keep`, in about log2(frames) steps.

    Time is the first axis. Frames are combined in pairs, the half as long recurrence of the pairs is solved in the same
    way, and the frames between are filled in: no logarithm or quotient of gates, so nothing overflows where a gate
    closes. The gradient is a recurrence of the same kind, backwards in time.
    """

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor, start: Tensor) -> Tensor:
        """Return c (frames, ...) from `keep` and `new` of that shape; `start` (...) is c before the first frame."""
        values = new.clone()
        values[0].addcmul_(keep[0], start)
        _solve(keep, values)
        ctx.save_for_backward(keep, start, values)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the gradients of keep, new and start."""
        keep, start, values = ctx.saved_tensors
        # g[t] = gradient[t] + keep[t + 1] g[t + 1], so keep is shifted by one; the value in its first place is unread
        reverse = gradient.flip(0)
        _solve(torch.cat([keep[:1], keep[1:].flip(0)]), reverse)
        grad_new = reverse.flip(0)
        # dc[t] / dkeep[t] = c[t - 1]
        previous = torch.cat([start[None], values[:-1]])
        return grad_new * previous, grad_new, grad_new[0] * keep[0]


def _solve(keep: Tensor, values: Tensor) -> None:
    """Turn the new values into those of the recurrence, in place; `keep[0]` is not read."""
    frames = len(values)
    if frames == 1:
        return
    # combine the frames of each pair
    first = slice(0, frames // 2 * 2, 2)
    values[1::2].addcmul_(keep[1::2], values[first])
    # solve the half as long recurrence of the pairs
    _solve(keep[1::2] * keep[first], values[1::2])
    # fill in the frames between
    values[2::2].addcmul_(keep[2::2], values[1 : frames - 1 : 2])


class QrnnLayer(nn.Module):
    """One causal layer with window 2, output gate and fo-pooling (class `QRNNLayer` of pytorch-qrnn)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        """Build the layer; the one linear map holds candidate, forget and output gate, in this order."""
        super().__init__()
        self.linear = nn.Linear(2 * inputs, 3 * hidden)

    def forward(self, frames: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Map (frames, batch, inputs) to (frames, batch, hidden) and the last cell values (batch, hidden).

        c[t] = f[t] z[t] + (1 - f[t]) c[t - 1] and h[t] = o[t] c[t]: the forget gate lets the new value in, unlike that
        of the publication. The recurrence runs in float32 or better under autocast too, since bf16's eight bits would
        lose what a nearly closed gate adds.
        """
        earlier = torch.cat([torch.zeros_like(frames[:1]), frames[:-1]])
        gates = self.linear(torch.cat([frames, earlier], dim=-1))
        gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
        candidate, forget, output = gates.chunk(3, dim=-1)
        new = forget.sigmoid() * candidate.tanh()
        keep = torch.sigmoid(-forget)  # 1 - sigmoid(forget) without its rounding
        values: Tensor = LinearRecurrence.apply(keep, new, start.to(new.dtype))
        return output.sigmoid() * values, values[-1]


class Qrnn(nn.Module):
    """Stacked causal layers (class `QRNN` of pytorch-qrnn, with its key names)."""

    def __init__(self, inputs: int, hidden: int, *, layers: int = 1) -> None:
        """Build `layers` layers of `hidden` cells."""
        super().__init__()
        self.hidden = hidden
        self.layers = nn.ModuleList(QrnnLayer(hidden if number else inputs, hidden) for number in range(layers))

    def forward(self, frames: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map (batch, inputs, frames) to (batch, hidden, frames) and the last cell values (layers, batch, hidden).

        `start` (layers, batch, hidden) holds the cell values before the first frame, 0 by default.
        """
        if start is None:
            start = frames.new_zeros(len(self.layers), frames.shape[0], self.hidden)
        sequence, last = frames.permute(2, 0, 1), []
        for layer, before in zip(self.layers, start, strict=True):
            sequence, values = layer(sequence, before)
            last.append(values)
        return sequence.permute(1, 2, 0), torch.stack(last)
