"""The Audio Spectrogram Transformer, alone or joined to a separation U-Net (Garoufis et al. 2024, section 2).

With encoder `magnitude` it stands alone; with `unet` or `unet_multiple` it also hears what these separate, and their
maps.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import timm
import torch
from torch import Tensor, nn

from workflow_scripts.checkpoints import published
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.audio_spectrogram_transformer import (
    COLUMNS,
    RECEIVING,
    SIZES,
    Ast,
    Patchify,
    frames_and_bins,
    load_deit,
)
from workflow_scripts.networks.head_interfaces import MapsHead
from workflow_scripts.networks.log_mel import log_mel
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.spectrogram import HOP, sample_count

READS = "maps"
STARTS_FROM = ("imagenet", "checkpoint")  # options that say which weights it starts from, and cost no time


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the Audio Spectrogram Transformer.

    `size`: that of the DeiT it is built like. `imagenet`: start from that DeiT's weights for ImageNet. `checkpoint`:
    the file that holds them, of timm or of DeiT's authors; without one timm fetches them. `frames`: length of a window;
    its 48 columns of patches lie `frames` / 48 apart, so those of 384 overlap by half, and those of 768, as the MSSPT
    code has it, not at all. `adaptation`: `sum` adds the U-Net's maps before every second block, in `order` (the code
    begins with the finest), or `none`.
    """

    size: Literal["tiny", "small", "base"] = "base"
    imagenet: bool = True
    checkpoint: str | None = None
    frames: Literal[384, 768] = 384
    adaptation: Literal["sum", "none"] = "sum"
    order: Literal["fine_to_coarse", "coarse_to_fine"] = "fine_to_coarse"

    def __post_init__(self) -> None:
        """Raise `UserError` for a head that cannot be built."""
        allowed = {
            "size": tuple(SIZES),
            "frames": (384, 768),
            "adaptation": ("sum", "none"),
            "order": ("fine_to_coarse", "coarse_to_fine"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                shown = ", ".join(map(str, values))
                raise UserError(f"ast: {name} must be one of {shown}, not {getattr(self, name)!r}")
        if self.checkpoint is not None and not self.imagenet:
            raise UserError("ast: checkpoint is for imagenet true")


class AstHead(MapsHead):
    """Windows of 384 or 768 frames to one logit per class.

    Separated sources are channels of the spectrogram beside the mixture, which together are scaled to between -1 and 1
    window by window. (The MSSPT code does so batch by batch, and what a clip gives would depend on its company.)
    """

    first_kernel = "network.v.patch_embed.proj.weight"

    def __init__(self, options: Options, *, sources: int, decoder: Sequence[int], outputs: int) -> None:
        """Build the network with weights from torch's global generator, and ImageNet's where the options say so."""
        super().__init__()
        size, frames = SIZES[options.size], options.frames
        self.samples, self.hop = window(options), frames * HOP
        self.network = Ast(size, outputs=outputs, channels=sources + 1, stride=frames // COLUMNS)
        levels = len(RECEIVING) if decoder and options.adaptation == "sum" else 0
        shapes = frames_and_bins(frames, levels)
        self.adapters = nn.ModuleList(
            Patchify(channels, size.width, frames=long, bins=high)
            for channels, (long, high) in zip(decoder, shapes, strict=False)
        )
        self.receiving = RECEIVING if options.order == "coarse_to_fine" else RECEIVING[::-1]
        if options.imagenet:
            _load_imagenet(self.network, options)

    def forward(self, maps: Maps) -> Tensor:
        """Logits (batch, outputs)."""
        spectrograms = torch.cat([log_mel(maps.masked), log_mel(maps.magnitude)], dim=1)
        low, high = spectrograms.amin(dim=(1, 2, 3), keepdim=True), spectrograms.amax(dim=(1, 2, 3), keepdim=True)
        scaled = 2 * (spectrograms - low) / (high - low).clamp(min=1e-6) - 1  # silence has no range
        adapted = [adapter(each) for adapter, each in zip(self.adapters, maps.decoder, strict=False)]
        return self.network(scaled, dict(zip(self.receiving, adapted, strict=False)))


def window(options: Options) -> int:
    """Samples of a window."""
    return sample_count(options.frames)


def build(options: Options, *, sources: int, decoder: Sequence[int], outputs: int) -> AstHead:
    """Build a head with first values from torch's global generator.

    `sources` are those the encoder separates, `decoder` the channels of its maps, coarse to fine; 0 and none for the
    transformer alone. Raises `UserError` if ImageNet's weights cannot be had.
    """
    return AstHead(options, sources=sources, decoder=decoder, outputs=outputs)


def weights_digest(options: Options) -> str | None:
    """Digest of the tensors for ImageNet that the head starts from; None where it draws all.

    Raises `UserError` if they cannot be had.
    """
    return published.digest_of(_imagenet(options)) if options.imagenet else None


def _load_imagenet(network: Ast, options: Options) -> None:
    state = _imagenet(options)
    try:
        load_deit(network, state)
    except UserError as error:
        raise UserError(f"ast: {options.checkpoint or SIZES[options.size].deit} cannot be used: {error}") from error


@functools.lru_cache(maxsize=1)  # each stage of each trial starts from them; those of `base` take 350 MB
def _imagenet(options: Options) -> Mapping[str, Tensor]:
    if options.checkpoint is not None:
        return published.read(Path(options.checkpoint)).state
    name = SIZES[options.size].deit
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # timm's ways to the network fail in many ways
        reason = " ".join(str(error).split())[:200]  # some of them in pages
        raise UserError(
            f"ast: timm cannot fetch {name} ({reason}): state heads.ast.checkpoint, a file of it, or imagenet: false"
        ) from error
