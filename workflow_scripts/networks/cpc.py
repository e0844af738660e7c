"""Contrastive predictive coding: strided convolutions and a recurrent context (van den Oord et al. 2018; Spijkervet
2021, section 5.2).

Built as `modules/cpc` of the CLMR code's first version, with its state-dict keys but for the prefix `model.`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.sizes.cpc import HOP, KERNELS, MIN_SAMPLES, PADDINGS, SAMPLE_RATE, STRIDES


class ConvolutionEncoder(nn.Module):
    """Seven strided convolutions with ReLU, without normalisation (class `Encoder` of the CLMR code)."""

    def __init__(self, filters: int, *, initialisation: Literal["default", "kaiming"] = "default") -> None:
        """Build the layers, with PyTorch's first values or those of `initialise_for_relu`."""
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = [1] + [filters] * (len(KERNELS) - 1)
        for number, (size, kernel, stride, padding) in enumerate(zip(inputs, KERNELS, STRIDES, PADDINGS, strict=True)):
            convolution = nn.Conv1d(size, filters, kernel, stride=stride, padding=padding)
            if initialisation == "kaiming":
                initialise_for_relu(convolution)
            layers[f"layer-{number}"] = nn.Sequential(convolution, nn.ReLU(inplace=True))
        self.seq = nn.Sequential(layers)

    def forward(self, audio: Tensor) -> Tensor:
        """Map audio (batch, samples) to frames (batch, filters, about samples / 480)."""
        return self.seq(audio[:, None])


def initialise_for_relu(convolution: nn.Conv1d) -> None:
    """Draw the weights so that a ReLU after them keeps the level of the signal (He et al. 2015), with biases of 0."""
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)


class Autoregressor(nn.Module):
    """A recurrent layer that summarises the frames so far (class `Autoregressor` of the CLMR code)."""

    def __init__(self, inputs: int, context: int) -> None:
        """Build the layer."""
        super().__init__()
        self.autoregressor = nn.GRU(inputs, context, batch_first=True)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, inputs, frames) to the context (batch, context, frames); it starts at zero."""
        return self.autoregressor(frames.transpose(1, 2).contiguous())[0].transpose(1, 2)


class CpcEncoder(Encoder):
    """Frames every 480 samples, 21.8 ms; the last channels summarise the frames so far."""

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(
        self,
        *,
        filters: int,
        context: int,
        pools_context_only: bool,
        crop_length: int,
        initialisation: Literal["default", "kaiming"],
    ) -> None:
        """Build the network with weights from torch's global generator.

        A clip is evaluated by crops of `crop_length` samples. Its embedding is the mean over time of the context, or of
        all channels.
        """
        super().__init__()
        self.context_size, self.crop_length = context, crop_length
        self.embedding_size = filters + context
        self.pools_context_only = pools_context_only
        self.encoder = ConvolutionEncoder(filters, initialisation=initialisation)
        self.autoregressor = Autoregressor(filters, context)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, filters + context, about samples / 480).

        The channels are those of the convolutions, then those of the context. For most lengths, padding gives one frame
        more than samples // 480. Raises `UserError` below 480 samples.
        """
        if audio.shape[-1] < MIN_SAMPLES:
            raise UserError(
                f"CPC needs at least {MIN_SAMPLES} samples (21.8 ms), got {audio.shape[-1]}: leave such clips out"
            )
        latent = self.encoder(audio)
        # float32 under autocast too
        return torch.cat([latent.float(), self.autoregressor(latent).float()], dim=1)

    @property
    def pooled_size(self) -> int:
        """Length of a clip's embedding."""
        return self.context_size if self.pools_context_only else self.embedding_size

    @property
    def convolution_blocks(self) -> nn.Sequential:
        """The seven strided convolutions."""
        return self.encoder.seq

    def pool(self, frames: Tensor) -> Tensor:
        """Average the context, or all channels, over time to (batch, pooled_size)."""
        return frames[:, -self.pooled_size :].mean(dim=-1)


def split_context(frames: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Split frames (batch, channels, frames) into the predicted ones and the last `context` channels, which predict."""
    return frames[:, :-context], frames[:, -context:]
