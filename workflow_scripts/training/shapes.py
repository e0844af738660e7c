"""The shapes every encoder, worker and augmentation has: all that the trainer and the evaluator know about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

Result = TypeVar("Result")


@dataclass(kw_only=True)
class Batch:
    """A pre-training batch on the training device.

    `clean` (batch, samples) is the audio as recorded, `audio` (batch, samples) what the encoder hears (augmented, or
    the same tensor); `precomputed` maps a worker's name to its stored target (batch, channels, frames) for these cuts.
    """

    clean: Tensor
    audio: Tensor
    precomputed: dict[str, Tensor] = field(default_factory=dict)
    _once: dict[Callable[..., object], object] = field(default_factory=dict)

    def once(self, function: Callable[[Tensor], Result]) -> Result:
        """Return `function(clean)`, computed once however many workers ask for it."""
        if function not in self._once:
            self._once[function] = function(self.clean)
        return self._once[function]  # type: ignore[return-value]


class Encoder(nn.Module, ABC):
    """Audio to frames."""

    sample_rate: int  # Hz
    hop: int  # samples per frame
    embedding_size: int  # channels of `forward`

    @abstractmethod
    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) in [-1, 1] to frames (batch, embedding_size, samples // hop).

        A published encoder may round up instead, as its own description says; targets have a frame for that.
        """

    @property
    def pooled_size(self) -> int:
        """Length of a clip's embedding."""
        return self.embedding_size

    def pool(self, frames: Tensor) -> Tensor:
        """One embedding per clip, (batch, pooled_size), from frames (batch, embedding_size, frames).

        By default the mean over time (Wu et al. 3.4).
        """
        return frames.mean(dim=-1)


class Worker(nn.Module, ABC):
    """A pretext task on an encoder's frames; it owns its head's parameters."""

    @abstractmethod
    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Mean loss over the batch, a float32 scalar.

        `frames` (batch, embedding_size, frames) come from `batch.audio`.
        """

    def calibrate(self, batches: list[Batch]) -> None:
        """Set target statistics from training batches, once, before the first step (does nothing by default)."""


class Augmentation(ABC):
    """A random change of audio, each example with its own parameters."""

    @abstractmethod
    def __call__(self, audio: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return audio of the same shape (batch, samples); all randomness comes from `generator`."""
