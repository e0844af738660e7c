"""Output of separation networks for heads that read more than an embedding."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Maps:
    """Spectrograms and maps for `frames` frames of a batch.

    `magnitude` (batch, 1, frames, 256) of the mixture; `masked` (batch, sources, frames, 256), mask times magnitude,
    with no sources where nothing is separated; `decoder`, the six blocks' outputs, coarse to fine, each (batch,
    channels, frames / 2 ** k, 256 / 2 ** k) for k = 5 to 0, or none.
    """

    magnitude: Tensor
    masked: Tensor
    decoder: tuple[Tensor, ...] = ()
