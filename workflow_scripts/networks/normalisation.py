"""Batch normalisation, and layers that are followed by it.

Batch normalisation cancels the bias of the layer before it. While training, the gradient of the bias is therefore zero,
and is set exactly to zero: of the rounding errors in its place Adam would make steps of full length, and no two
computations of one batch would give the same weights.
"""

from __future__ import annotations

import torch
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


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation whose running variance is that of the batches, not the unbiased estimate from them.

    Keras does so behind a dense layer; behind convolutions it does as torch. In small batches the two differ much.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Map (batch, channels) to (batch, channels)."""
        if not self.training:
            return super().forward(values)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        # running statistics, from the biased variance
        with torch.no_grad():
            variance, mean = torch.var_mean(values.float(), dim=0, correction=0)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
            self.num_batches_tracked.add_(1)
        return functional.batch_norm(values, None, None, self.weight, self.bias, training=True, eps=self.eps)


def _without_gradient(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> Tensor:
    """Return the bias, while training with a gradient of exactly zero."""
    bias = layer.bias
    assert bias is not None
    return bias.detach() + 0 * bias if layer.training else bias
