"""Quantities of the separation U-Net and its two back ends: the sizes that networks of full width are built with."""

from __future__ import annotations

from itertools import pairwise

from workflow_scripts.networks.sizes import audio_spectrogram_transformer as ast
from workflow_scripts.networks.sizes import short_chunk_cnn, spectrogram, unet
from workflow_scripts.statistics.reproduction.quantities.settings import define_constant

SPACINGS = [later - earlier for earlier, later in pairwise(ast.INSERTION_BLOCKS)]

QUANTITIES = {
    "spectrogram_window": define_constant(spectrogram.WINDOW, "samples in a window of the networks' spectrogram"),
    "spectrogram_hop": define_constant(spectrogram.HOP, "hop of the networks' spectrogram, samples"),
    "mel_bands": define_constant(spectrogram.MELS, "mel bands of the back ends' input"),
    "unet_blocks": define_constant(
        len(unet.CHANNELS), "blocks of the U-Net's contracting path; each has its own number of channels"
    ),
    "unet_convolutions": define_constant(
        unet.CONVOLUTIONS_PER_BLOCK, "convolutions in each contracting block of the U-Net"
    ),
    "short_chunk_blocks": define_constant(len(short_chunk_cnn.CHANNELS_ALONE), "blocks of the Short-Chunk CNN"),
    "short_chunk_convolutions": define_constant(
        short_chunk_cnn.CONVOLUTIONS_PER_BLOCK, "convolutions in each block of the Short-Chunk CNN"
    ),
    "short_chunk_layers": define_constant(
        short_chunk_cnn.DENSE_LAYERS, "fully connected layers after the blocks of the Short-Chunk CNN"
    ),
    "patch_side": define_constant(
        ast.PATCH, "side of a patch of the Audio Spectrogram Transformer, in frames and in mel bands"
    ),
    "patch_columns": define_constant(ast.COLUMNS, "patches of the Audio Spectrogram Transformer along time"),
    "patch_rows": define_constant(
        ast.ROWS, "patches of the Audio Spectrogram Transformer along frequency, where patches do not overlap"
    ),
    "transformer_blocks": define_constant(ast.BLOCKS, "blocks of the transformer"),
    "insertion_spacing": define_constant(
        SPACINGS, "distance in blocks between two of the transformer that receive a map of the U-Net"
    ),
}
