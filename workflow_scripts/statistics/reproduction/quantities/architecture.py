"""Quantities of the separating U-Net and its two back ends, counted in the source of `networks/`.

They are what a network of full width is built of; importing it would import torch.
"""

from __future__ import annotations

import ast
from itertools import pairwise

from workflow_scripts.core import source
from workflow_scripts.statistics.reproduction.context import Estimate, Results, Selection
from workflow_scripts.statistics.reproduction.quantities.settings import chosen, constant

NETWORKS = f"{source.PACKAGE.name}.networks"
SPECTROGRAM, UNET = f"{NETWORKS}.sizes.spectrogram", f"{NETWORKS}.unet"
SHORT_CHUNK_CNN, AST = f"{NETWORKS}.short_chunk_cnn", f"{NETWORKS}.audio_spectrogram_transformer"
CONVOLUTIONS = ("NormalisedConvolution2d", "Conv2d")  # transposed ones are called otherwise
DENSE = ("NormalisedLinear", "Linear")


def spectrogram_window(_: Selection, __: Results) -> Estimate:
    """Samples in a window of the networks' spectrogram."""
    return chosen([constant(SPECTROGRAM, "WINDOW")])


def spectrogram_hop(_: Selection, __: Results) -> Estimate:
    """Samples from one window to the next."""
    return chosen([constant(SPECTROGRAM, "HOP")])


def mel_bands(_: Selection, __: Results) -> Estimate:
    """Mel bands that the back ends hear."""
    return chosen([constant(SPECTROGRAM, "MELS")])


def unet_blocks(_: Selection, __: Results) -> Estimate:
    """Blocks on the U-Net's way down, of which each has its number of channels."""
    return chosen([len(constant(UNET, "CHANNELS"))])


def unet_convolutions(_: Selection, __: Results) -> Estimate:
    """Convolutions in each of them."""
    return chosen([_layers(UNET, "DoubleConvolution", CONVOLUTIONS)])


def short_chunk_blocks(_: Selection, __: Results) -> Estimate:
    """Blocks of the Short-Chunk CNN."""
    return chosen([len(constant(SHORT_CHUNK_CNN, "ALONE"))])


def short_chunk_convolutions(_: Selection, __: Results) -> Estimate:
    """Convolutions in each of them."""
    return chosen([_layers(SHORT_CHUNK_CNN, "Block", CONVOLUTIONS)])


def short_chunk_layers(_: Selection, __: Results) -> Estimate:
    """Fully connected layers after them."""
    return chosen([_layers(SHORT_CHUNK_CNN, "ShortChunkCnn", DENSE)])


def patch_side(_: Selection, __: Results) -> Estimate:
    """Frames, and mel bands, of a patch of the Audio Spectrogram Transformer."""
    return chosen([constant(AST, "PATCH")])


def patch_columns(_: Selection, __: Results) -> Estimate:
    """Patches along time."""
    return chosen([constant(AST, "COLUMNS")])


def patch_rows(_: Selection, __: Results) -> Estimate:
    """Patches along frequency, which do not overlap."""
    return chosen([constant(AST, "MELS") // constant(AST, "PATCH")])


def transformer_blocks(_: Selection, __: Results) -> Estimate:
    """Blocks of the transformer."""
    return chosen([constant(AST, "BLOCKS")])


def insertion_spacing(_: Selection, __: Results) -> Estimate:
    """Blocks from one that is given a map of the U-Net to the next."""
    return chosen([later - earlier for earlier, later in pairwise(constant(AST, "RECEIVING"))])


def _layers(module: str, name: str, kinds: tuple[str, ...]) -> int:
    """How many layers of these kinds a class of a module keeps as attributes of its own."""
    (declaration,) = (
        node for node in source.syntax_of(module).body if isinstance(node, ast.ClassDef) and node.name == name
    )
    built = [node.value.func for node in ast.walk(declaration) if _keeps_a_call(node)]  # type: ignore[attr-defined]
    return sum(ast.unparse(made).rpartition(".")[2] in kinds for made in built)


def _keeps_a_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and all(isinstance(target, ast.Attribute) for target in node.targets)
    )
