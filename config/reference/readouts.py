"""Read-outs of the reference run's encoders: other statistics over time than the mean, and blocks before the last.

Each class but the first is an encoder of `config/reference/ablation.yaml`, as docs/own-encoder.md describes such
classes. It gives one frame for each clip, which holds all that its classifier reads.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from workflow_scripts.checkpoints.encoder_file import build_encoder

PRETRAINED = Path("results/reference/real_recordings/pretrained/recordings")
ENCODER_FILES = {
    name: PRETRAINED / name / "WLPMCT/equal/none/features/seed0/encoder.safetensors" for name in ("pase", "pase_plus")
}
OPTIONS = {"pase": {"embedding": 256, "width": 0.25}, "pase_plus": {"embedding": 256, "width": 0.25}, "handcrafted": {}}

STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda frames: frames.mean(dim=-1),
    "std": lambda frames: frames.std(dim=-1, correction=0),
    "max": lambda frames: frames.amax(dim=-1),
}


class Readout(nn.Module):
    """Statistics over time of an encoder's frames, or of the output of one of its blocks."""

    encoder: ClassVar[str] = "pase"
    pretrained: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("mean",)
    block: ClassVar[int | None] = None  # from 1; None: the encoder's own output

    sampling_rate = 16000
    hop_size_in_ms = 30000  # the longest piece of a clip that is encoded at once

    def __init__(self) -> None:
        """Build the encoder, with the weights of the reference run or, as its untrained twin, from seed 0."""
        super().__init__()
        choice = {"name": self.encoder, "options": OPTIONS[self.encoder]}
        file = ENCODER_FILES[self.encoder] if self.pretrained and self.encoder in ENCODER_FILES else None
        self.network = build_encoder(choice, seed=0, encoder_file=file)
        with torch.no_grad():
            self.output_dim = len(self.statistics) * self._frames(torch.zeros(1, self.sampling_rate)).shape[1]

    def forward(self, audio: Tensor) -> Tensor:
        """Map (batch, samples) to (batch, 1, output_dim)."""
        frames = self._frames(audio)
        return torch.cat([STATISTICS[name](frames) for name in self.statistics], dim=1)[:, None]

    def _frames(self, audio: Tensor) -> Tensor:
        """Return frames (batch, channels, frames) of the encoder, or of the block."""
        if self.block is None:
            return self.network(audio)
        maps = audio[:, None]
        for block in self.network.blocks[: self.block]:
            maps = block(maps)
        return maps


class PaseMeanStd(Readout):
    """Mean and standard deviation, as the handcrafted features have them."""

    statistics = ("mean", "std")


class PaseMeanStdMax(Readout):
    """Mean, standard deviation and maximum."""

    statistics = ("mean", "std", "max")


class UntrainedPaseMeanStdMax(PaseMeanStdMax):
    """Mean, standard deviation and maximum of the untrained network."""

    pretrained = False


class PaseBlock2(Readout):
    """Mean of the second of the eight blocks."""

    block = 2


class PaseBlock4(Readout):
    """Mean of the fourth."""

    block = 4


class PaseBlock6(Readout):
    """Mean of the sixth."""

    block = 6


class PaseBlock8(Readout):
    """Mean of the last block, before the layer that makes the embedding."""

    block = 8


class PasePlusMean(Readout):
    """The mean of PASE+, for windows of half a second: what its recurrent layer sees is no longer than these."""

    encoder = "pase_plus"


class PasePlusMeanStdMax(PaseMeanStdMax):
    """Mean, standard deviation and maximum of PASE+."""

    encoder = "pase_plus"


class HandcraftedMean(Readout):
    """The mean of the handcrafted features alone."""

    encoder = "handcrafted"
