"""The chain of CLMR as its published code has it (torchaudio-augmentations 0.2.4), after the random crops.

It differs from the thesis in gain, delay and reverb, and in how often delay, pitch and reverb come.
"""

from __future__ import annotations

from dataclasses import dataclass

from workflow_scripts.augmentations import delay, filter, gain, noise, pitch, polarity, reverb
from workflow_scripts.augmentations._chain import Chain, joined, require_probabilities


@dataclass(frozen=True, kw_only=True)
class Options:
    """With what probability an example gets each effect, and whether only one of the two views may get any.

    Those of the published configuration.
    """

    polarity: float = 0.8
    noise: float = 0.01
    gain: float = 0.3
    filter: float = 0.8
    delay: float = 0.3
    pitch: float = 0.6
    reverb: float = 0.6
    one_sided: bool = False

    def __post_init__(self) -> None:
        """Raise `UserError` for what is no probability."""
        require_probabilities(self.polarity, self.noise, self.gain, self.filter, self.delay, self.pitch, self.reverb)


def build(options: Options, *, sample_rate: int) -> Chain:
    """Build the chain for audio of `sample_rate` Hz."""
    parts = [
        polarity.build(polarity.Options(probability=options.polarity), sample_rate=sample_rate),
        noise.build(noise.Options(probability=options.noise), sample_rate=sample_rate),
        gain.build(gain.Options(probability=options.gain, lowest=-20.0, highest=-1.0), sample_rate=sample_rate),
        filter.build(filter.Options(probability=options.filter), sample_rate=sample_rate),
        delay.build(delay.Options(probability=options.delay, longest=450, halved=True), sample_rate=sample_rate),
        pitch.build(pitch.Options(probability=options.pitch), sample_rate=sample_rate),
        reverb.build(reverb.Options(probability=options.reverb, highest=99), sample_rate=sample_rate),
    ]
    return joined(parts, one_sided=options.one_sided)
