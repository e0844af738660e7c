"""The separation U-Net as an encoder (Garoufis et al. 2024, section 2).

Heads may read more than an embedding of it, see `UNetEncoder.maps`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import spectrogram, unet
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.sizes.spectrogram import BINS, HOP, SAMPLE_RATE, WINDOW, frame_count, sample_count
from workflow_scripts.networks.sizes.unet import SCALE


class UNetEncoder(Encoder):
    """Frames of 10 ms: the U-Net's maps at each of its scales, and the masks it separates by.

    The first channels are the means over frequency of the maps at the bottom and after each block up, coarse to fine,
    each repeated for as many frames as it covers: 816 at full width. So a plain head reads all scales, not the bottom
    alone, which sees four seconds at once, nor the finest alone, which hardly knows more than the mask. The last
    channels are the masks, 256 for each source: separation learns from them, and they are no part of an embedding.
    """

    sample_rate = SAMPLE_RATE
    hop = HOP

    def __init__(
        self, *, sources: int, pooling: Literal["max", "average"], width: float, momentum: float, crop_frames: int
    ) -> None:
        """Build the network with weights from torch's global generator.

        `sources`, `pooling`, `width` and `momentum` are those of `unet.UNet`. A clip is evaluated by crops of
        `crop_frames` frames.
        """
        super().__init__()
        self.separates = sources
        self.crop_length = sample_count(crop_frames)
        self.network = unet.UNet(sources=sources, pooling=pooling, width=width, momentum=momentum)
        self.embedding_size = sum(unet.upward_channels(width)) + sources * BINS

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, 816 x width + 256 x sources, frames).

        Only whole windows of 512 samples become frames, so there are two fewer than samples / 160. Raises `UserError`
        below one window.
        """
        frames = frame_count(audio.shape[-1])
        separated = self.network(spectrogram.unet_log10(_magnitude(audio)))
        # mean over frequency of each scale, held up to the finest frame rate
        means = [maps.mean(dim=-1) for maps in (separated.bottom, *separated.decoder)]
        longest = means[-1].shape[-1]
        held = [mean.repeat_interleave(longest // mean.shape[-1], dim=-1) for mean in means]
        # the masks' bins as channels
        masks = separated.mask.transpose(2, 3).flatten(1, 2)
        # without the silence at the end; float32 under autocast too
        return torch.cat([*held, masks], dim=1)[..., :frames].float()

    def maps(self, waveform: Tensor) -> Maps:
        """Return spectrograms and maps of audio (batch, samples); silence fills the last 64 frames of other lengths."""
        magnitude = _magnitude(waveform)
        separated = self.network(spectrogram.unet_log10(magnitude))
        return Maps(magnitude=magnitude, masked=separated.mask.float() * magnitude, decoder=separated.decoder)

    @property
    def pooled_size(self) -> int:
        """Length of a clip's embedding: all channels but the masks."""
        return self.embedding_size - self.separates * BINS

    def pool(self, frames: Tensor) -> Tensor:
        """Average all channels but the masks over time to (batch, pooled_size)."""
        return frames[:, : self.pooled_size].mean(dim=-1)

    def chunk_length(self, seconds: float) -> int:
        """Return the samples of the frames nearest to `seconds` that are a multiple of 64, which need no silence."""
        frames = (seconds * SAMPLE_RATE - sample_count(0)) / HOP
        return sample_count(max(1, round(frames / SCALE)) * SCALE)


def _magnitude(audio: Tensor) -> Tensor:
    """Return magnitudes (batch, 1, frames, 256) of audio (batch, samples), with silence up to a multiple of 64
    frames.
    """
    frames = frame_count(audio.shape[-1])
    if not frames:
        raise UserError(
            f"the U-Net needs at least {WINDOW} samples (32 ms), got {audio.shape[-1]}: leave such clips out"
        )
    length = sample_count(-(-frames // SCALE) * SCALE)
    padded = functional.pad(audio, (0, length - audio.shape[-1]))
    return spectrogram.compute_stft(padded).abs()[:, None, :, :BINS]
