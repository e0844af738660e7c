"""The chain of CLMR after the random crops, as the thesis describes it or as its published code has it.

The code (torchaudio-augmentations 0.2.4) differs from the thesis (Spijkervet 2021, section 3.1) in gain, delay and
reverb, and in the probabilities of delay, pitch and reverb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflow_scripts.augmentations import delay, frequency_filter, gain, noise, pitch, polarity, reverb
from workflow_scripts.levels.options import LevelOptions

if TYPE_CHECKING:
    from workflow_scripts.effects.chain import Chain

LABEL = "CLMR"

#: levels of the chain, in its order, by the names of the options that hold their probabilities
EFFECTS = {
    "polarity": polarity,
    "noise": noise,
    "gain": gain,
    "filter": frequency_filter,
    "delay": delay,
    "pitch": pitch,
    "reverb": reverb,
}
#: options of each effect that are not its defaults. Probabilities of the thesis are its best ones (Fig. 6.4); noise and
#: gain are not varied there: theirs are the code's. Those of the repository are its published configuration's.
VARIANTS: dict[str, dict[str, dict[str, float]]] = {
    "thesis": {
        "polarity": {"probability": 0.8},
        "noise": {"probability": 0.01},
        "gain": {"probability": 0.3},
        "filter": {"probability": 0.8},
        "delay": {"probability": 0.4},
        "pitch": {"probability": 0.4},
        "reverb": {"probability": 0.4},
    },
    "repository": {
        "polarity": {"probability": 0.8},
        "noise": {"probability": 0.01},
        "gain": {"probability": 0.3, "lowest": -20.0, "highest": -1.0},
        "filter": {"probability": 0.8},
        "delay": {"probability": 0.3, "longest": 450, "halved": True},
        "pitch": {"probability": 0.6},
        "reverb": {"probability": 0.6, "highest": 99},
    },
}


class Options(LevelOptions):
    """Options of the chain of CLMR: the variant, and probabilities that replace those of the variant."""

    variant: Literal["thesis", "repository"] = "thesis"
    """The chain of the `thesis`, or of the published code (`repository`)."""
    polarity: float | None = Field(default=None, ge=0, le=1)
    """Probability of the polarity inversion; null: that of the variant."""
    noise: float | None = Field(default=None, ge=0, le=1)
    """Probability of the noise; null: that of the variant."""
    gain: float | None = Field(default=None, ge=0, le=1)
    """Probability of the gain; null: that of the variant."""
    filter: float | None = Field(default=None, ge=0, le=1)
    """Probability of the filter; null: that of the variant."""
    delay: float | None = Field(default=None, ge=0, le=1)
    """Probability of the delay; null: that of the variant."""
    pitch: float | None = Field(default=None, ge=0, le=1)
    """Probability of the pitch shift; null: that of the variant."""
    reverb: float | None = Field(default=None, ge=0, le=1)
    """Probability of the reverb; null: that of the variant."""
    one_sided: bool = False
    """Apply the chain to one of the two views only."""


def effect_options(options: Options) -> dict[str, dict[str, float]]:
    """Return the options of each effect that are not its defaults, in the order of the chain."""
    probabilities = options.model_dump(include=set(EFFECTS), exclude_none=True)
    return {
        name: {**defaults, "probability": probabilities.get(name, defaults["probability"])}
        for name, defaults in VARIANTS[options.variant].items()
    }


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the chain for audio of `sample_rate` Hz."""
    from workflow_scripts.effects.chain import concatenate

    chains = [
        EFFECTS[name].build(EFFECTS[name].Options(**numbers), sample_rate=sample_rate)
        for name, numbers in effect_options(options).items()
    ]
    return concatenate(chains, one_sided=options.one_sided)
