"""Base classes of encoders, workers and augmentations: all that the trainer and the evaluator know about them."""

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

    `clean` (batch, samples) is the audio as recorded, `audio` (batch, samples) the input of the encoder (augmented, or
    the same tensor); `precomputed` maps a worker's name to its stored target (batch, channels, frames) for these cuts.
    With `views` above 1 the batch holds the first view of every clip, then the second of every clip in the same order.
    `sources` (batch, sources, samples) are parts of which `clean` is the sum, if a worker needs mixtures.
    """

    clean: Tensor
    audio: Tensor
    precomputed: dict[str, Tensor] = field(default_factory=dict)
    sources: Tensor | None = None
    views: int = 1
    _once: dict[Callable[..., object], object] = field(default_factory=dict)

    def compute_once(self, function: Callable[[Tensor], Result]) -> Result:
        """Return `function(clean)`, computed once for all workers."""
        if function not in self._once:
            self._once[function] = function(self.clean)
        return self._once[function]  # type: ignore[return-value]


class Encoder(nn.Module, ABC):
    """Network that maps audio to frames."""

    sample_rate: int  # Hz
    hop: int  # samples per frame
    embedding_size: int  # channels of `forward`
    context_size: int = 0  # number of these, the last ones, that summarise the frames so far; 0: none
    separates: int = 0  # number of sources whose masks are the last channels, 256 bins each; 0: none
    crop_length: int | None = None  # samples of the consecutive crops by which a clip is evaluated; None: as a whole

    @abstractmethod
    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) in [-1, 1] to frames (batch, embedding_size, samples // hop).

        A published encoder may round up instead, see its own description; targets have a frame for that.
        """

    @property
    def pooled_size(self) -> int:
        """Length of a clip's embedding."""
        return self.embedding_size

    @property
    def convolution_blocks(self) -> nn.Sequential | None:
        """Blocks from audio (batch, 1, samples) on, each of which begins with a convolution; None: it has no such."""
        return None

    def pool(self, frames: Tensor) -> Tensor:
        """Return one embedding per clip, (batch, pooled_size), from frames (batch, embedding_size, frames).

        By default the mean over time (Wu et al. 3.4).
        """
        return frames.mean(dim=-1)

    def chunk_length(self, seconds: float) -> int:
        """Return the samples of a chunk of `seconds` for training; an encoder of fixed windows rounds to whole ones."""
        return round(seconds * self.sample_rate)

    def start_supervised(self) -> None:
        """Prepare for training from scratch on labels, where the published network differs then; nothing by default."""


class Worker(nn.Module, ABC):
    """A pretext task on an encoder's frames; it owns its head's parameters."""

    @abstractmethod
    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss over the batch, a float32 scalar.

        `frames` (batch, embedding_size, frames) come from `batch.audio`.
        """

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` if the frames of `encoder` do not suit this task (by default all do)."""

    def calibrate(self, batches: list[Batch]) -> None:
        """Set target statistics from training batches, once, before the first step (does nothing by default)."""


class Augmentation(ABC):
    """A random change of audio, each example with its own parameters."""

    one_sided: bool = False  # only the first view of each clip is changed, the others stay as recorded

    @abstractmethod
    def __call__(self, audio: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return changed audio of the same shape (batch, samples), on its device; the argument is not modified.

        All randomness comes from `generator`, which is on the CPU, so that examples are treated alike on all devices.
        """
