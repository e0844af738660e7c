"""The Audio Spectrogram Transformer, alone or joined to a separation U-Net (Garoufis et al. 2024, section 2).

With encoder `magnitude` it stands alone; with a `unet` its input also has the separated sources, and the U-Net's maps.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions, UserPath
from workflow_scripts.networks.sizes.audio_spectrogram_transformer import SIZES
from workflow_scripts.networks.sizes.spectrogram import sample_count

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.networks.ast_head import AstHead

LABEL = "AST"
READS = "maps"
INITIAL_WEIGHTS = ("imagenet", "checkpoint")  # options that choose the initial weights, and cost no time


class Options(LevelOptions):
    """Options of the Audio Spectrogram Transformer."""

    size: Literal["tiny", "small", "base"] = "base"
    """Size of the DeiT it is built like."""
    imagenet: bool = True
    """Whether it starts from that DeiT's weights for ImageNet."""
    checkpoint: UserPath | None = None
    """File of these weights, of timm or of DeiT's authors; without one timm fetches them."""
    frames: Literal[384, 768] = 384
    """Length of a window. Its 48 columns of patches lie `frames` / 48 apart, so those of 384 overlap by half, and those
    of 768, as the MSSPT code has it, not at all."""
    adaptation: Literal["sum", "none"] = "sum"
    """Whether the U-Net's maps are added before every second block (`sum`) or left out (`none`)."""
    order: Literal["fine_to_coarse", "coarse_to_fine"] = "fine_to_coarse"
    """Order of these maps; the MSSPT code begins with the finest."""

    @model_validator(mode="after")
    def _check_checkpoint(self) -> Options:
        """Raise for a file of ImageNet weights that would not be used."""
        if self.checkpoint is not None and not self.imagenet:
            raise ValueError("checkpoint needs imagenet: true")
        return self


def window(options: Options) -> int:
    """Return the samples of a window."""
    return sample_count(options.frames)


def build(options: Options, *, sources: int, decoder: Sequence[int], outputs: int) -> AstHead:
    """Build a head with initial values from torch's global generator.

    `sources` are those the encoder separates, `decoder` the channels of its maps, coarse to fine; 0 and none for the
    transformer alone. Raises `UserError` if ImageNet's weights cannot be had.
    """
    from workflow_scripts.networks.ast_head import AstHead

    head = AstHead(
        sources=sources,
        decoder=decoder,
        outputs=outputs,
        size=SIZES[options.size],
        frames=options.frames,
        adaptation=options.adaptation,
        order=options.order,
    )
    if options.imagenet:
        _load_imagenet(head, options)
    return head


def weights_digest(options: Options) -> str | None:
    """Return the digest of the tensors for ImageNet that the head starts from; None where it draws all.

    Raises `UserError` if they cannot be had.
    """
    from workflow_scripts.checkpoints import weight_files

    return weight_files.digest_tensors(_read_imagenet(options)) if options.imagenet else None


def _load_imagenet(head: AstHead, options: Options) -> None:
    """Replace the initial weights by those of a DeiT for ImageNet; `UserError` if they do not fit."""
    from workflow_scripts.networks.audio_spectrogram_transformer import load_deit

    state = _read_imagenet(options)
    try:
        load_deit(head.network, state)
    except UserError as error:
        source = options.checkpoint or SIZES[options.size].deit
        raise UserError(f"ast: {source} cannot be used: {error}") from error


# each stage of each trial starts from them; those of `base` take 350 MB
@functools.lru_cache(maxsize=1)
def _read_imagenet(options: Options) -> Mapping[str, Tensor]:
    """Read the weights of a DeiT for ImageNet from the file of the options, or from what `fetch_weights` fetched."""
    if options.checkpoint is not None:
        from workflow_scripts.checkpoints import weight_files

        return weight_files.read_checkpoint(Path(options.checkpoint)).state
    import timm

    name = SIZES[options.size].deit
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # timm looks for them in many ways
        # some of these messages fill pages
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"ast: the weights of {name} are not in the cache of Hugging Face ({reason}): fetch them where there is "
            "internet by `snakemake acquire_all --forcerun fetch_weights`, or state heads.<name>.checkpoint, a file of "
            "them, or imagenet: false"
        ) from error
