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
class Grid:
    """Patches of spectrograms: their distances in bands and in frames, and the columns along time."""

    band_stride: int
    frame_stride: int
    columns: int

    @property
    def rows(self) -> int:
        """Rows along frequency; bands above the last whole patch are not read."""
        return count_patches(MELS, self.band_stride)


def count_patches(length: int, stride: int) -> int:
    """Return the whole patches, `stride` apart, along an axis of `length`."""
    return (length - PATCH) // stride + 1


AUDIOSET_FRAMES = 1024  # of the AST code's spectrograms for AudioSet
#: grids of networks that can be imported: the AST code's for AudioSet, which differ in stride, and the poster's on
#: windows of 384 frames, without and with padding to 48 columns. No two have as many patches.
PUBLISHED_GRIDS = (
    *(Grid(stride, stride, count_patches(AUDIOSET_FRAMES, stride)) for stride in (10, 12, 14, 16)),
    *(Grid(PATCH, 8, columns) for columns in (COLUMNS - 1, COLUMNS)),
)


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
