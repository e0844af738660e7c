"""Source separation as a pretext task: masks on the mixture's spectrogram, judged by their waveform.

Garoufis et al. 2024, section 2; the MSSPT code.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker
from workflow_scripts.pretraining.stem_mixtures import Mix

#: the stems of MUSDB18 in the order in which the code's network for all four has its masks
FOUR = ("vocals", "other", "drums", "bass")


@dataclass(frozen=True, kw_only=True)
class Options:
    """There is nothing to choose: the task is the level's, and the masks are the encoder's."""


class SeparationWorker(Worker):
    """Compares each source with its estimate; it has no parameters of its own."""

    def __init__(self, mix: Mix) -> None:
        """Remember what is separated."""
        super().__init__()
        self.sources = mix.sources

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` unless the encoder has a mask for each source."""
        if encoder.separates != len(self.sources):
            raise UserError(
                f"separation of {', '.join(self.sources)} needs an encoder with {len(self.sources)} masks and this one "
                f"has {encoder.separates}: choose {'unet' if len(self.sources) == 1 else 'unet_multiple'}"
            )

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Mean absolute error over examples, sources and samples; what no whole window covers is left out."""
        assert batch.sources is not None, "separation needs the sources of each mixture"
        estimates = separated(frames, batch.audio, sources=len(self.sources))
        return (estimates - batch.sources[..., : estimates.shape[-1]]).abs().mean()


def separated(frames: Tensor, audio: Tensor, *, sources: int) -> Tensor:
    """Estimated sources (batch, sources, 160 (frames - 1) + 512) in audio (batch, samples).

    `frames` (batch, channels, frames) are what an encoder makes of it; the last channels are the masks.
    """
    masks = frames[:, -sources * spectrogram.BINS :].unflatten(1, (sources, spectrogram.BINS)).transpose(2, 3)
    found = spectrogram.masked(spectrogram.spectrum(audio), masks)
    return spectrogram.waveform(found.flatten(0, 1)).unflatten(0, (-1, sources))


def one_of(source: str) -> Mix:
    """Mixtures from which one source is separated: two pieces of it and two accompaniments, as the code mixes them."""
    return Mix(sources=(source,), pieces=(source, source, None, None))
