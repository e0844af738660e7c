"""Convolutions that a batch normalisation follows."""

from __future__ import annotations

from torch import Tensor, nn


class NormalisedConvolution(nn.Conv1d):
    """Convolution before a batch normalisation, which takes off whatever its bias adds.

    While training, the bias's gradient is therefore zero, and is made exactly so: of the rounding errors in its place
    Adam would make steps of full length, and no two computations of one batch would give the same weights.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to (batch, outputs, frames)."""
        assert self.bias is not None
        bias = self.bias.detach() + 0 * self.bias if self.training else self.bias
        return self._conv_forward(maps, self.weight, bias)
