"""Quantities of the separation U-Net and its two back ends: the sizes that networks of full width are built with."""

from __future__ import annotations

from itertools import pairwise

from workflow_scripts.networks.sizes import audio_spectrogram_transformer as ast
from workflow_scripts.networks.sizes import short_chunk_cnn, spectrogram, unet
from workflow_scripts.statistics.reproduction.context import Estimate, Results, Selection
from workflow_scripts.statistics.reproduction.quantities.settings import setting_estimate


def spectrogram_window(_: Selection, __: Results) -> Estimate:
    """Return the samples in a window of the networks' spectrogram."""
    return setting_estimate([spectrogram.WINDOW])


def spectrogram_hop(_: Selection, __: Results) -> Estimate:
    """Return the hop of the networks' spectrogram in samples."""
    return setting_estimate([spectrogram.HOP])


def mel_bands(_: Selection, __: Results) -> Estimate:
    """Return the mel bands of the back ends' input."""
    return setting_estimate([spectrogram.MELS])


def unet_blocks(_: Selection, __: Results) -> Estimate:
    """Return the blocks of the U-Net's contracting path; each has its own number of channels."""
    return setting_estimate([len(unet.CHANNELS)])


def unet_convolutions(_: Selection, __: Results) -> Estimate:
    """Return the convolutions in each contracting block of the U-Net."""
    return setting_estimate([unet.CONVOLUTIONS_PER_BLOCK])


def short_chunk_blocks(_: Selection, __: Results) -> Estimate:
    """Return the blocks of the Short-Chunk CNN."""
    return setting_estimate([len(short_chunk_cnn.CHANNELS_ALONE)])


def short_chunk_convolutions(_: Selection, __: Results) -> Estimate:
    """Return the convolutions in each block of the Short-Chunk CNN."""
    return setting_estimate([short_chunk_cnn.CONVOLUTIONS_PER_BLOCK])


def short_chunk_layers(_: Selection, __: Results) -> Estimate:
    """Return the fully connected layers after the blocks of the Short-Chunk CNN."""
    return setting_estimate([short_chunk_cnn.DENSE_LAYERS])


def patch_side(_: Selection, __: Results) -> Estimate:
    """Return the side of a patch of the Audio Spectrogram Transformer, in frames and in mel bands."""
    return setting_estimate([ast.PATCH])


def patch_columns(_: Selection, __: Results) -> Estimate:
    """Return the patches of the Audio Spectrogram Transformer along time."""
    return setting_estimate([ast.COLUMNS])


def patch_rows(_: Selection, __: Results) -> Estimate:
    """Return the patches of the Audio Spectrogram Transformer along frequency, where patches do not overlap."""
    return setting_estimate([ast.ROWS])


def transformer_blocks(_: Selection, __: Results) -> Estimate:
    """Return the blocks of the transformer."""
    return setting_estimate([ast.BLOCKS])


def insertion_spacing(_: Selection, __: Results) -> Estimate:
    """Return the distance in blocks between two that receive a map of the U-Net."""
    return setting_estimate([later - earlier for earlier, later in pairwise(ast.INSERTION_BLOCKS)])
