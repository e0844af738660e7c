"""The CPC encoder: strided convolutions and a recurrent context (Spijkervet 2021, section 5.2).

Built as the CLMR code's first version, with its state-dict keys but for the prefix `model.`. The worker
`predictive_coding` predicts later frames from the context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import clmr, cpc, widths
from workflow_scripts.networks.interfaces import Encoder

TRAINABLE = True
SAMPLE_RATE = 22050
HOP = cpc.HOP  # samples

CROP_LENGTH = 59049  # samples: evaluated by the same crops as SampleCNN


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the CPC encoder.

    `width`: factor on the filters (512) and the size of the context (256). `pooled`: a clip's embedding is the mean
    over time of the `context`, or of `both` context and frames. The thesis says that the 256 values of the context are
    "pooled to 512", which cannot be.
    """

    width: float = 1.0
    pooled: Literal["context", "both"] = "context"

    def __post_init__(self) -> None:
        """Raise `UserError` for a network that cannot be built."""
        if not self.width > 0:
            raise UserError(f"cpc needs width > 0, not {self.width}")
        if self.pooled not in ("context", "both"):
            raise UserError(f"cpc: pooled must be context or both, not {self.pooled!r}")


def sizes(options: Options) -> tuple[int, int]:
    """Filters, and channels of the context."""
    filters, context = widths.narrowed((cpc.FILTERS, cpc.CONTEXT), options.width)
    return filters, context


def context_size(options: Options) -> int:
    """Channels of the context."""
    return sizes(options)[1]


class Cpc(Encoder):
    """Frames every 480 samples, 21.8 ms; the last channels sum up the frames so far."""

    sample_rate = SAMPLE_RATE
    hop = HOP
    crop_length = CROP_LENGTH

    def __init__(self, options: Options) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        filters, self.context_size = sizes(options)
        self.embedding_size = filters + self.context_size
        self.pooled = options.pooled
        self.encoder = cpc.ConvolutionEncoder(filters)
        self.autoregressor = cpc.Autoregressor(filters, self.context_size)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, 768 x width, about samples / 480).

        First the frames of the convolutions, then their context. The padding gives a frame more than samples // 480 for
        most lengths. Raises `UserError` below 480 samples.
        """
        if audio.shape[-1] < cpc.SHORTEST:
            raise UserError(
                f"CPC needs at least {cpc.SHORTEST} samples (21.8 ms), got {audio.shape[-1]}: leave such clips out"
            )
        latent = self.encoder(audio)
        return torch.cat([latent.float(), self.autoregressor(latent).float()], dim=1)  # under autocast too

    @property
    def pooled_size(self) -> int:
        """Length of a clip's embedding."""
        return self.context_size if self.pooled == "context" else self.embedding_size

    def pool(self, frames: Tensor) -> Tensor:
        """Mean over time of the context, or of all channels, (batch, pooled_size)."""
        return frames[:, -self.pooled_size :].mean(dim=-1)


def build(options: Options) -> Cpc:
    """Build an untrained CPC encoder."""
    return Cpc(options)


official_weights = clmr.cpc_weights


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    found = shapes["encoder.seq.layer-0.0.weight"][0], shapes["autoregressor.autoregressor.weight_hh_l0"][1]
    width = widths.width_giving(found, channels=(cpc.FILTERS, cpc.CONTEXT))
    if width is None:
        raise UserError(f"it has {found[0]} filters and a context of {found[1]}, which no width of CPC gives")
    return Options(width=width)
