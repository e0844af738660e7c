"""Worker that masks the mixture's spectrogram, evaluated on the waveform (Garoufis et al. 2024, section 2)."""

from __future__ import annotations

from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.interfaces import Batch, Encoder, Worker


class SeparationWorker(Worker):
    """Compares each source with its estimate; it has no parameters of its own."""

    def __init__(self, *, sources: tuple[str, ...]) -> None:
        """Take the names of the sources, in the order of the encoder's masks."""
        super().__init__()
        self.sources = sources

    def check(self, encoder: Encoder) -> None:
        """Raise `UserError` unless the encoder has a mask for each source."""
        if encoder.separates != len(self.sources):
            raise UserError(
                f"separation of {', '.join(self.sources)} needs an encoder with {len(self.sources)} masks and this one "
                f"has {encoder.separates}: choose {'unet' if len(self.sources) == 1 else 'unet_multiple'}"
            )

    def loss(self, frames: Tensor, batch: Batch) -> Tensor:
        """Compute the mean absolute error over examples, sources and the samples that whole windows cover."""
        assert batch.sources is not None, "separation needs the sources of each mixture"
        estimates = separate(frames, batch.audio, sources=len(self.sources))
        return (estimates - batch.sources[..., : estimates.shape[-1]]).abs().mean()


def separate(frames: Tensor, audio: Tensor, *, sources: int) -> Tensor:
    """Estimate the sources (batch, sources, 160 (frames - 1) + 512) in audio (batch, samples).

    `frames` (batch, channels, frames) are the encoder's of that audio; the last channels are the masks.
    """
    # masks (batch, sources, frames, bins) on the mixture's complex spectrum, then back to samples
    masks = frames[:, -sources * spectrogram.BINS :].unflatten(1, (sources, spectrogram.BINS)).transpose(2, 3)
    spectra = spectrogram.apply_masks(spectrogram.compute_stft(audio), masks)
    return spectrogram.invert_stft(spectra.flatten(0, 1)).unflatten(0, (-1, sources))
