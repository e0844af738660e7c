"""Sizes of the Audio Spectrogram Transformer (Gong et al. 2021; `ast_models.py` of its code)."""

from __future__ import annotations

from dataclasses import dataclass

PATCH = 16  # frames and mel bands of a patch
MELS = 128
ROWS, COLUMNS = 8, 48  # of the grid of patches: along frequency without overlap, and along time
BLOCKS = 12
#: blocks before which a map is added, counted from 0, one for each of five maps (the MSSPT code)
INSERTION_BLOCKS = (2, 4, 6, 8, 10)


@dataclass(frozen=True)
class Size:
    """Width of the tokens, heads of attention, and timm's name of the DeiT whose ImageNet weights fit."""

    width: int
    heads: int
    deit: str


SIZES = {
    "tiny": Size(192, 3, "deit_tiny_distilled_patch16_224"),
    "small": Size(384, 6, "deit_small_distilled_patch16_224"),
    "base": Size(768, 12, "deit_base_distilled_patch16_384"),
}
