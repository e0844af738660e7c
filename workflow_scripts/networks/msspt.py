"""Key formats of the MSSPT code's networks: Keras layer names, or the names inside TensorFlow's checkpoints."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import unet

SOURCES = (1, 4)  # of the published separation networks
PREFIX = "network."  # where an encoder keeps its U-Net
SEPARATOR, BACK_END = "separator.", "back_end."  # where a joint network keeps its two parts
#: decorations of a name: the model in a checkpoint that holds more, and TensorFlow's endings of variables
VARIABLE_NAME = re.compile(r"(?:model/)?(?P<layer>[^/]+)/(?P<weight>[^/:]+)(?:/\.ATTRIBUTES/VARIABLE_VALUE|:0)?")
#: weights of a layer by their names in Keras
WEIGHTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "kernel": "weight",
    "bias": "bias",
}
#: names of layers in Keras, by their kind
KERAS: dict[type[nn.Module] | tuple[type[nn.Module], ...], str] = {
    (nn.BatchNorm2d, nn.BatchNorm1d): "batch_normalization",
    nn.Conv2d: "conv2d",
    nn.ConvTranspose2d: "conv2d_transpose",
    nn.Linear: "dense",
}
#: layers of a back end, in the order of computation; listed, since a module that imports the back end depends on its
#: code, and pre-training of a U-Net must not
BLOCK = (("conv1", nn.Conv2d), ("norm1", nn.BatchNorm2d), ("conv2", nn.Conv2d), ("norm2", nn.BatchNorm2d))
BLOCKS = 7
LAST_LAYERS = (("dense", nn.Linear), ("norm", nn.BatchNorm1d), ("classes", nn.Linear))
#: Keras stores kernels (height, width, in, out), of transposed convolutions (height, width, out, in), dense (in, out)
KERNEL_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}

Layer = tuple[str, type[nn.Module]]


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


def rename_weights(state: Mapping[str, Tensor], layers: Mapping[str, tuple[str, str]]) -> dict[str, Tensor]:
    """Rename the weights of layers, and give them torch's axes; other weights keep their names.

    `layers` maps our name of each to the names in files, as `name_layers` does. The state of an optimiser is left out.
    """
    known = {name: layer for layer, names in layers.items() for name in names}
    weights: dict[str, Tensor] = {}
    for key, value in state.items():
        match = VARIABLE_NAME.fullmatch(key)
        # neither counters nor the moments of Adam
        if match is None or match["weight"] not in WEIGHTS:
            continue
        layer = known.get(match["layer"])
        name = f"{layer}.{WEIGHTS[match['weight']]}" if layer else key
        if name in weights:
            raise UserError(f"it holds {key} twice, under names of two kinds: save one of them")
        axes = KERNEL_AXES.get(value.ndim) if match["weight"] == "kernel" else None
        weights[name] = (value.permute(axes).contiguous() if axes else value).float()
    # torch's batch normalisation also counts batches
    norms = {name.removesuffix("running_mean") for name in weights if name.endswith("running_mean")}
    return weights | {f"{name}num_batches_tracked": torch.tensor(0) for name in sorted(norms)}


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


def name_layers(layers: Iterable[Layer]) -> dict[str, tuple[str, str]]:
    """Map the name of each layer with weights to its names in Keras, numbered by kind, and in a checkpoint, numbered
    in all.

    `layers` come by name and kind, in the order of computation.
    """
    counts = dict.fromkeys(KERAS, 0)
    names: dict[str, tuple[str, str]] = {}
    for name, module in layers:
        kind = next((kind for kind in KERAS if issubclass(module, kind)), None)
        if kind is not None:
            number = f"_{counts[kind]}" if counts[kind] else ""
            names[name] = (KERAS[kind] + number, f"layer_with_weights-{len(names)}")
            counts[kind] += 1
    return names
