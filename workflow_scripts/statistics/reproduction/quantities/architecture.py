"""Quantities of the separation U-Net and its two back ends: the sizes that networks of full width are built with."""

from __future__ import annotations

from itertools import pairwise

from workflow_scripts.networks.sizes import audio_spectrogram_transformer as ast
from workflow_scripts.networks.sizes import short_chunk_cnn, spectrogram, unet
from workflow_scripts.statistics.reproduction.context import Estimate, Results, Selection
from workflow_scripts.statistics.reproduction.quantities.settings import setting_estimate
from workflow_scripts.statistics.reproduction.quantity import Quantity


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


QUANTITIES = {
    "spectrogram_window": Quantity(kind="chosen", compute=spectrogram_window, phrase="spectrogram window"),
    "spectrogram_hop": Quantity(kind="chosen", compute=spectrogram_hop, phrase="spectrogram hop"),
    "mel_bands": Quantity(kind="chosen", compute=mel_bands, phrase="mel bands"),
    "unet_blocks": Quantity(kind="chosen", compute=unet_blocks, phrase="unet blocks"),
    "unet_convolutions": Quantity(kind="chosen", compute=unet_convolutions, phrase="unet convolutions"),
    "short_chunk_blocks": Quantity(kind="chosen", compute=short_chunk_blocks, phrase="short chunk blocks"),
    "short_chunk_convolutions": Quantity(
        kind="chosen", compute=short_chunk_convolutions, phrase="short chunk convolutions"
    ),
    "short_chunk_layers": Quantity(kind="chosen", compute=short_chunk_layers, phrase="short chunk layers"),
    "patch_side": Quantity(kind="chosen", compute=patch_side, phrase="patch side"),
    "patch_columns": Quantity(kind="chosen", compute=patch_columns, phrase="patch columns"),
    "patch_rows": Quantity(kind="chosen", compute=patch_rows, phrase="patch rows"),
    "transformer_blocks": Quantity(kind="chosen", compute=transformer_blocks, phrase="transformer blocks"),
    "insertion_spacing": Quantity(kind="chosen", compute=insertion_spacing, phrase="insertion spacing"),
}
