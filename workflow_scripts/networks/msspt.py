"""Key formats of the MSSPT code's networks: Keras layer names, or the names inside TensorFlow's checkpoints."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import unet
from workflow_scripts.networks.keras_weights import Layer, name_layers, rename_weights

SOURCES = (1, 4)  # of the published separation networks
PREFIX = "network."  # where an encoder keeps its U-Net
SEPARATOR, BACK_END = "separator.", "back_end."  # where a joint network keeps its two parts
#: layers of a back end, in the order of computation; listed, since a module that imports the back end depends on its
#: code, and pre-training of a U-Net must not
BLOCK = (("conv1", nn.Conv2d), ("norm1", nn.BatchNorm2d), ("conv2", nn.Conv2d), ("norm2", nn.BatchNorm2d))
BLOCKS = 7
LAST_LAYERS = (("dense", nn.Linear), ("norm", nn.BatchNorm1d), ("classes", nn.Linear))


def select_unet_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a separation network by the names an encoder gives them.

    The state of an optimiser is left out. Layers that a U-Net does not have keep their names, so that loading refuses
    them. Raises `UserError` if none of its layers is there.
    """
    weights = rename_weights(state, name_layers(_unet_layers(PREFIX)))
    if not any(name.startswith(PREFIX) for name in weights):
        raise UserError("it holds no U-Net: neither layer_with_weights-0/gamma nor batch_normalization/gamma")
    return weights


def select_separator_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a separation network by the names an encoder gives them, also from the file of a joint
    network.

    A joint network of four sources was fine-tuned with maxima, while the encoder for four sources takes means. Raises
    `UserError` if none of its layers is there.
    """
    joint = select_joint_weights(state)
    if f"{BACK_END}classes.weight" not in joint:
        return select_unet_weights(state)
    return {PREFIX + name.removeprefix(SEPARATOR): joint[name] for name in joint if name.startswith(SEPARATOR)}


def select_joint_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a separation network and the back end behind it by the names of
    `msspt_joint.JointNetwork`.
    """
    return rename_weights(state, name_layers([*_unet_layers(SEPARATOR), *_back_end_layers(BACK_END)]))


def select_back_end_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a back end alone by the names of `ShortChunkCnn`; others keep their names."""
    return rename_weights(state, name_layers(_back_end_layers("")))


def read_sources(shapes: Mapping[str, Sequence[int]]) -> int:
    """Return how many sources a separation network has masks for, from the shapes of its tensors.

    Raises `UserError` for a number that no published network has, `LookupError` where a tensor is missing.
    """
    sources = shapes[f"{PREFIX}mask.weight"][0]
    if sources not in SOURCES:
        raise UserError(f"it separates {sources} sources; allowed: {', '.join(map(str, SOURCES))}")
    return sources


def read_width(shapes: Mapping[str, Sequence[int]]) -> float:
    """Return the width of a separation network from the shapes of its tensors.

    Raises `UserError` if no width gives its channels, `LookupError` where a tensor is missing.
    """
    return unet.read_width(shapes, prefix=PREFIX)


@functools.cache
def _unet_layers(prefix: str) -> list[Layer]:
    """List the layers of a U-Net, in the order of computation."""
    with torch.device("meta"):
        network = unet.UNet(sources=1, pooling="max")
    return [(prefix + name, type(module)) for name, module in network.named_modules()]


def _back_end_layers(prefix: str) -> list[Layer]:
    """List the layers of a back end, in the order of computation."""
    blocks = [(f"blocks.{number}.{name}", kind) for number in range(BLOCKS) for name, kind in BLOCK]
    return [(prefix + name, kind) for name, kind in (*blocks, *LAST_LAYERS)]
