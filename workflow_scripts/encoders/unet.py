"""The separation U-Net for one source (Garoufis et al. 2024, section 2).

Pre-trained by one of the workers `separation_vocals`, `separation_drums`, `separation_bass` and `separation_other`.
Heads may read more than an embedding of it, see `UNetEncoder.maps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import msspt, spectrogram, unet
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.networks.maps import Maps

TRAINABLE = True
SAMPLE_RATE = 16000
HOP = spectrogram.HOP  # samples
MAPS = True  # heads may read them
SEPARATES = 1  # source

FRAMES = 384  # of a crop: 3.862 s (the MSSPT code)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the U-Net.

    `width`: factor on the channels of every block. `momentum`: share of the last batch in the running statistics of
    batch normalisation. Keras's 0.01 is for hundreds of steps an epoch: where a joint network learns from few clips,
    validation, which uses these statistics, lags behind what was learned.
    """

    width: float = 1.0
    momentum: float = unet.MOMENTUM

    def __post_init__(self) -> None:
        """Raise `UserError` for a network that cannot be built."""
        if not (self.width > 0 and 0 < self.momentum <= 1):
            raise UserError(
                f"unet needs width > 0 and momentum above 0 and up to 1, not {self.width} and {self.momentum}"
            )


class UNetEncoder(Encoder):
    """Frames of 10 ms: what the U-Net sees at each of its scales, and the masks it separates by.

    The first channels are the means over frequency of the maps at the bottom and after each block up, coarse to fine,
    each held for as many frames as it stands for: 816 at full width. So a plain head reads all scales, not the bottom
    alone, which sees four seconds at once, nor the finest alone, which hardly knows more than the mask. The last
    channels are the masks, 256 for each source: what separation learns from, and no part of an embedding.
    """

    sample_rate = SAMPLE_RATE
    hop = HOP
    crop_length = spectrogram.sample_count(FRAMES)

    def __init__(self, options: Options, *, sources: int, pooling: Literal["max", "average"]) -> None:
        """Build the network with weights from torch's global generator."""
        super().__init__()
        self.separates = sources
        self.network = unet.UNet(sources=sources, pooling=pooling, width=options.width, momentum=options.momentum)
        self.embedding_size = sum(unet.sizes(options.width)) + sources * spectrogram.BINS

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio (batch, samples) to float32 frames (batch, 816 x width + 256 x sources, frames).

        Only whole windows of 512 samples become frames, so there are two fewer than samples / 160. Raises `UserError`
        below one window.
        """
        frames = spectrogram.frame_count(audio.shape[-1])
        found = self.network(spectrogram.log10(_magnitude(audio)))
        means = [maps.mean(dim=-1) for maps in (found.bottom, *found.decoder)]
        longest = means[-1].shape[-1]
        held = [mean.repeat_interleave(longest // mean.shape[-1], dim=-1) for mean in means]
        masks = found.mask.transpose(2, 3).flatten(1, 2)
        return torch.cat([*held, masks], dim=1)[..., :frames].float()  # under autocast too

    def maps(self, waveform: Tensor) -> Maps:
        """Spectrograms and maps of audio (batch, samples); silence fills the last 64 frames of other lengths."""
        magnitude = _magnitude(waveform)
        found = self.network(spectrogram.log10(magnitude))
        return Maps(magnitude=magnitude, masked=found.mask.float() * magnitude, decoder=found.decoder)

    @property
    def pooled_size(self) -> int:
        """Length of a clip's embedding: all channels but the masks."""
        return self.embedding_size - self.separates * spectrogram.BINS

    def pool(self, frames: Tensor) -> Tensor:
        """Mean over time of all channels but the masks, (batch, pooled_size)."""
        return frames[:, : self.pooled_size].mean(dim=-1)

    def chunk_length(self, seconds: float) -> int:
        """Samples of the frames nearest to `seconds` that are a multiple of 64, which need no silence."""
        frames = (seconds * SAMPLE_RATE - spectrogram.sample_count(0)) / spectrogram.HOP
        return spectrogram.sample_count(max(1, round(frames / unet.SCALE)) * unet.SCALE)


def _magnitude(audio: Tensor) -> Tensor:
    """Magnitudes (batch, 1, frames, 256) of audio (batch, samples), with silence up to a multiple of 64 frames."""
    frames = spectrogram.frame_count(audio.shape[-1])
    if not frames:
        raise UserError(
            f"the U-Net needs at least {spectrogram.WINDOW} samples (32 ms), got {audio.shape[-1]}: "
            "leave such clips out"
        )
    length = spectrogram.sample_count(-(-frames // unet.SCALE) * unet.SCALE)
    padded = functional.pad(audio, (0, length - audio.shape[-1]))
    return spectrogram.spectrum(padded).abs()[:, None, :, : spectrogram.BINS]


def build(options: Options) -> UNetEncoder:
    """Build an untrained U-Net."""
    return UNetEncoder(options, sources=SEPARATES, pooling="max")


official_weights = msspt.separator_weights


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    return Options(width=msspt.width_of(shapes, sources=SEPARATES))
