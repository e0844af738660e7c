"""Layers that a batch normalisation follows.

It takes off whatever their bias adds. While training, the bias's gradient is therefore zero, and is made exactly so: of
the rounding errors in its place Adam would make steps of full length, and no two computations of one batch would give
the same weights.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class NormalisedConvolution(nn.Conv1d):
    """Convolution over time."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, frames)."""
        return self._conv_forward(maps, self.weight, _without_gradient(self))


class NormalisedConvolution2d(nn.Conv2d):
    """Convolution over two axes."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames, bins) to (batch, outputs, frames, bins)."""
        return self._conv_forward(maps, self.weight, _without_gradient(self))


class NormalisedUpsampling2d(nn.ConvTranspose2d):
    """Transposed convolution over two axes whose kernel is as large as its stride."""

    def forward(self, maps: Tensor) -> Tensor:  # type: ignore[override]  # no output size to choose
        """Map (batch, inputs, frames, bins) to (batch, outputs, stride x frames, stride x bins)."""
        return functional.conv_transpose2d(maps, self.weight, _without_gradient(self), stride=self.stride)


class NormalisedLinear(nn.Linear):
    """Fully connected layer."""

    def forward(self, values: Tensor) -> Tensor:
        """Map (batch, inputs) to (batch, outputs)."""
        return functional.linear(values, self.weight, _without_gradient(self))


def _without_gradient(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> Tensor:
    """The bias, while training with a gradient of exactly zero."""
    bias = layer.bias
    assert bias is not None
    return bias.detach() + 0 * bias if layer.training else bias
