"""What all workers share that regress frame features: head, target statistics and loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.configuration.compatibility import require_frames
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.heads import RegressionHead, stack_neighbours
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker

# A channel that varies by less than this part of its size (the tempogram's lag 0 is always 1) holds only rounding
# errors, which division by their deviation would blow up; feature values are right to 1e-4.
CONSTANT = 1e-4


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """Options of every worker that regresses features.

    `targets`: `raw` values, which Wu et al.'s Fig. 4 implies, or `normalised` to mean 0 and deviation 1 in each
    channel, as the PASE code does. `start_at_mean`: the head's last bias starts at the mean target, which spares the
    first hundreds of steps and leaves the loss as it is. `neighbours`: frames predicted jointly around each frame (1
    in workers.cfg, 7 in workers+.cfg). `hidden`: size of the head's hidden layer.
    """

    targets: Literal["raw", "normalised"] = "raw"
    start_at_mean: bool = False
    neighbours: int = 1
    hidden: int = 256

    def __post_init__(self) -> None:
        """Raise `UserError` for values that make no head."""
        if self.targets not in ("raw", "normalised"):
            raise UserError(f"targets must be raw or normalised, not {self.targets!r}")
        if self.neighbours < 1 or self.neighbours % 2 == 0:
            raise UserError(f"neighbours must be an odd number of frames, not {self.neighbours}")
        if self.hidden < 1:
            raise UserError(f"hidden must be at least 1, not {self.hidden}")


class FeatureWorker(Worker):
    """Predicts the features of each frame; the loss is the mean squared error over frames and channels."""

    target_mean: Tensor
    target_deviation: Tensor

    def __init__(
        self, *, channels: int, target: Callable[[Batch], Tensor], options: FeatureOptions, embedding_size: int
    ) -> None:
        """Build the head; `target` gives a batch's features (batch, channels, at least the encoder's frames)."""
        super().__init__()
        self.options, self.read_target = options, target
        self.head = RegressionHead(
            inputs=embedding_size, outputs=channels, hidden=options.hidden, neighbours=options.neighbours
        )
        self.register_buffer("target_mean", torch.zeros(channels, 1))
        self.register_buffer("target_deviation", torch.ones(channels, 1))

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` unless the encoder has a frame for each of the target's."""
        require_frames(encoder.hop, every=HOP)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Mean squared error; targets beyond the encoder's frames (librosa's last one) are dropped."""
        target = self.target(batch)
        assert target.shape[-1] >= frames.shape[-1], "the target must have a frame for each of the encoder's"
        target = stack_neighbours(target[..., : frames.shape[-1]], self.options.neighbours)
        return functional.mse_loss(self.head(frames).float(), target)

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """Targets (batch, channels, frames), normalised if the options say so; always computed in float32."""
        with torch.autocast(batch.clean.device.type, enabled=False):
            return (self.read_target(batch).float() - self.target_mean) / self.target_deviation

    @torch.no_grad()
    def calibrate(self, batches: list[Batch]) -> None:
        """Take each channel's mean and deviation over the frames of `batches`, as far as the options need them."""
        if self.options.targets == "raw" and not self.options.start_at_mean:
            return
        # a fresh batch each time, so that features of many batches do not pile up in memory
        summed = sum(_moments(self.target(_fresh(batch))) for batch in batches)
        count, total, squares = summed  # type: ignore[misc]
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
        size = (squares / count).sqrt()
        mean, deviation = mean[:, None], torch.where(deviation > CONSTANT * size, deviation, 1.0)[:, None]
        if self.options.targets == "normalised":
            self.target_mean.copy_(mean)
            self.target_deviation.copy_(deviation)
            mean = torch.zeros_like(mean)
        if self.options.start_at_mean:
            assert self.head.W.bias is not None
            self.head.W.bias.copy_(mean.repeat(1, self.options.neighbours).flatten())


def _moments(target: Tensor) -> Tensor:
    """Count, sum and sum of squares of each channel in float64, (3, channels)."""
    values = target.double().transpose(0, 1).flatten(1)
    return torch.stack([torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)])


def _fresh(batch: Batch) -> Batch:
    return Batch(clean=batch.clean, audio=batch.audio, precomputed=batch.precomputed)
