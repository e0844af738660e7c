"""Noise: white Gaussian noise at a high signal-to-noise ratio."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.augmentations._chain import Alone, Chain, Effect, between, require_order
from workflow_scripts.effects.level import noisy

SEEDS = 2**53  # as many as a float64 from 0 to 1 tells apart


@dataclass(frozen=True, kw_only=True)
class Options(Alone):
    """`least` and `most`: bounds of the noise's deviation as a share of the audio's.

    The thesis says "high signal-to-noise ratio"; the defaults are those of torchaudio-augmentations, 80 to 40 dB.
    """

    least: float = 0.0001
    most: float = 0.01

    def __post_init__(self) -> None:
        """Raise `UserError` for bounds in the wrong order."""
        super().__post_init__()
        require_order("noise", 0, self.least)
        require_order("noise", self.least, self.most)


class Noise(Effect):
    """Adds noise of a uniformly drawn deviation."""

    numbers = 2

    def __init__(self, options: Options) -> None:
        """Draw as `options` say."""
        self.options = options

    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Return the audio with noise."""
        ratios = between(self.options.least, self.options.most, numbers[:, 0])
        return noisy(audio, ratios=ratios, seeds=(numbers[:, 1] * SEEDS).long().tolist())


def build(options: Options, *, sample_rate: int) -> Chain:  # noqa: ARG001 - one shape for all augmentations
    """Build it."""
    return options.chain(Noise(options))
