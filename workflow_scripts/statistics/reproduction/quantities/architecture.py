"""Quantities of the separation U-Net and its two back ends: the sizes that networks of full width are built with."""

from __future__ import annotations

from itertools import pairwise

from workflow_scripts.networks.sizes import audio_spectrogram_transformer as ast
from workflow_scripts.networks.sizes import short_chunk_cnn, spectrogram, unet
from workflow_scripts.statistics.reproduction.context import Estimate, Results, Selection
from workflow_scripts.statistics.reproduction.quantities.settings import chosen


def spectrogram_window(_: Selection, __: Results) -> Estimate:
    """Samples in a window of the networks' spectrogram."""
    return chosen([spectrogram.WINDOW])


def spectrogram_hop(_: Selection, __: Results) -> Estimate:
    """Samples from one window to the next."""
    return chosen([spectrogram.HOP])


def mel_bands(_: Selection, __: Results) -> Estimate:
    """Mel bands that the back ends hear."""
    return chosen([spectrogram.MELS])


def unet_blocks(_: Selection, __: Results) -> Estimate:
    """Blocks on the U-Net's way down, of which each has its number of channels."""
    return chosen([len(unet.CHANNELS)])


def unet_convolutions(_: Selection, __: Results) -> Estimate:
    """Convolutions in each of them."""
    return chosen([unet.CONVOLUTIONS_PER_BLOCK])


def short_chunk_blocks(_: Selection, __: Results) -> Estimate:
    """Blocks of the Short-Chunk CNN."""
    return chosen([len(short_chunk_cnn.ALONE)])


def short_chunk_convolutions(_: Selection, __: Results) -> Estimate:
    """Convolutions in each of them."""
    return chosen([short_chunk_cnn.CONVOLUTIONS_PER_BLOCK])


def short_chunk_layers(_: Selection, __: Results) -> Estimate:
    """Fully connected layers after them."""
    return chosen([short_chunk_cnn.DENSE_LAYERS])


def patch_side(_: Selection, __: Results) -> Estimate:
    """Frames, and mel bands, of a patch of the Audio Spectrogram Transformer."""
    return chosen([ast.PATCH])


def patch_columns(_: Selection, __: Results) -> Estimate:
    """Patches along time."""
    return chosen([ast.COLUMNS])


def patch_rows(_: Selection, __: Results) -> Estimate:
    """Patches along frequency, which do not overlap."""
    return chosen([ast.ROWS])


def transformer_blocks(_: Selection, __: Results) -> Estimate:
    """Blocks of the transformer."""
    return chosen([ast.BLOCKS])


def insertion_spacing(_: Selection, __: Results) -> Estimate:
    """Blocks from one that is given a map of the U-Net to the next."""
    return chosen([later - earlier for earlier, later in pairwise(ast.RECEIVING)])
