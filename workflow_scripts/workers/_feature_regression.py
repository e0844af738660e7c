"""Worker that regresses frame features: head, target statistics and loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.configuration.compatibility import require_frames
from workflow_scripts.features.frames import HOP
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.networks.regression_head import RegressionHead, stack_neighbours
from workflow_scripts.workers._feature_options import FeatureOptions

# A channel whose standard deviation is below this share of its root mean square (the tempogram's lag 0 is always 1)
# holds only rounding errors, which a division by that deviation would amplify; feature values are accurate to 1e-4.
CONSTANT = 1e-4


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
        """Raise `UserError` unless the encoder has one frame for each frame of the target (every `HOP` samples)."""
        require_frames(encoder.hop, every=HOP)

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Compute the mean squared error; targets beyond the encoder's frames (librosa's last one) are dropped."""
        target = self.target(batch)
        expected = (len(frames), len(self.target_mean))
        assert target.shape[:-1] == expected, f"the target must be (batch, channels, frames), {expected} and frames"
        assert target.shape[-1] >= frames.shape[-1], "the target must have a frame for each of the encoder's"
        target = stack_neighbours(target[..., : frames.shape[-1]], self.options.neighbours)
        return functional.mse_loss(self.head(frames).float(), target)

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """Return targets (batch, channels, frames), normalised if the options say so; always computed in float32."""
        with torch.autocast(batch.clean.device.type, enabled=False):
            return (self.read_target(batch).float() - self.target_mean) / self.target_deviation

    @torch.no_grad()
    def calibrate(self, batches: list[Batch]) -> None:
        """Estimate each channel's mean and deviation over the frames of `batches`, as far as the options need them."""
        if self.options.targets == "raw" and not self.options.start_at_mean:
            return
        # moments over all batches; each batch is copied, so that its cached features are freed before the next
        moments = sum(_moments(self.target(_without_cache(batch))) for batch in batches)
        count, total, squares = moments  # type: ignore[misc]
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
        root_mean_square = (squares / count).sqrt()
        # constant channels are only centred
        deviation = torch.where(deviation > CONSTANT * root_mean_square, deviation, 1.0)
        mean, deviation = mean[:, None], deviation[:, None]
        if self.options.targets == "normalised":
            self.target_mean.copy_(mean)
            self.target_deviation.copy_(deviation)
            mean = torch.zeros_like(mean)
        if self.options.start_at_mean:
            assert self.head.W.bias is not None
            self.head.W.bias.copy_(mean.repeat(1, self.options.neighbours).flatten())


def _moments(target: Tensor) -> Tensor:
    """Compute count, sum and sum of squares of each channel in float64, (3, channels)."""
    values = target.double().transpose(0, 1).flatten(1)
    return torch.stack([torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)])


def _without_cache(batch: Batch) -> Batch:
    return Batch(clean=batch.clean, audio=batch.audio, precomputed=batch.precomputed)
