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
    With `views` above 1 the batch holds the first view of every clip, then the second of every clip in the same order.
    `sources` (batch, sources, samples) are parts of which `clean` is the sum, where a worker asks for mixtures.
    """

    clean: Tensor
    audio: Tensor
    precomputed: dict[str, Tensor] = field(default_factory=dict)
    sources: Tensor | None = None
    views: int = 1
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
    context_size: int = 0  # how many of these, the last ones, sum up the frames so far; 0: none
    separates: int = 0  # of how many sources the last channels are masks, 256 bins each; 0: none
    crop_length: int | None = None  # samples of the consecutive crops by which a clip is evaluated; None: as a whole

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

    def chunk_length(self, seconds: float) -> int:
        """Samples of a chunk of `seconds` for training; an encoder of fixed windows rounds to whole ones."""
        return round(seconds * self.sample_rate)

    def start_supervised(self) -> None:
        """Get ready to learn from labels alone, as far as the published network then differs (not by default)."""


class Worker(nn.Module, ABC):
    """A pretext task on an encoder's frames; it owns its head's parameters."""

    @abstractmethod
    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Mean loss over the batch, a float32 scalar.

        `frames` (batch, embedding_size, frames) come from `batch.audio`.
        """

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` if the frames of `encoder` do not suit this task (by default all do)."""

    def calibrate(self, batches: list[Batch]) -> None:
        """Set target statistics from training batches, once, before the first step (does nothing by default)."""


class Augmentation(ABC):
    """A random change of audio, each example with its own parameters."""

    one_sided: bool = False  # only the first view of each clip is changed, the others are heard as recorded

    @abstractmethod
    def __call__(self, audio: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return audio of the same shape (batch, samples), on whatever device; it is not changed itself.

        All randomness comes from `generator`, which is on the CPU, so that examples are treated alike on all devices.
        """
