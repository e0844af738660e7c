"""Noise: white Gaussian noise at a high signal-to-noise ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from workflow_scripts.augmentations._single_effect import SingleEffectOptions, chain_of, require_order

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "noise"


class Options(SingleEffectOptions):
    """Options of every single effect, and the range of the noise's standard deviation.

    The thesis states "high signal-to-noise ratio"; the defaults are those of torchaudio-augmentations, 80 to 40 dB.
    """

    least: float = Field(default=0.0001, ge=0)
    """Smallest standard deviation of the noise, as a share of the audio's."""
    most: float = Field(default=0.01, ge=0)
    """Largest standard deviation of the noise, as a share of the audio's."""

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        """Raise `ValueError` for bounds in the wrong order."""
        require_order("noise", self.least, self.most)
        return self


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the augmentation."""
    from workflow_scripts.effects.level import RandomNoise

    return chain_of(RandomNoise(least=options.least, most=options.most), options)
