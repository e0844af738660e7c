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
#: what may stand around a name: the model in a checkpoint that holds more, and how TensorFlow ends variables
DECORATED = re.compile(r"(?:model/)?(?P<layer>[^/]+)/(?P<weight>[^/:]+)(?:/\.ATTRIBUTES/VARIABLE_VALUE|:0)?")
WEIGHTS = {
    **{"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"},
    **{"kernel": "weight", "bias": "bias"},
}
KERAS: dict[type[nn.Module] | tuple[type[nn.Module], ...], str] = {
    (nn.BatchNorm2d, nn.BatchNorm1d): "batch_normalization",
    nn.Conv2d: "conv2d",
    nn.ConvTranspose2d: "conv2d_transpose",
    nn.Linear: "dense",
}
#: layers of a back end, in the order it computes them; listed, since what imports the back end depends on its code, and
#: whatever trains a U-Net must not
BLOCK = (("conv1", nn.Conv2d), ("norm1", nn.BatchNorm2d), ("conv2", nn.Conv2d), ("norm2", nn.BatchNorm2d))
BLOCKS = 7
LAST_LAYERS = (("dense", nn.Linear), ("norm", nn.BatchNorm1d), ("classes", nn.Linear))
#: Keras stores kernels (height, width, in, out), of transposed convolutions (height, width, out, in), dense (in, out)
KERNEL_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}

Layer = tuple[str, type[nn.Module]]


def unet_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a separation network by the names an encoder gives them.

    What an optimiser keeps beside them is left out. Layers that a U-Net does not have keep their names, so that loading
    refuses them. Raises `UserError` if none of its layers is there.
    """
    found = renamed(state, named(_unet_layers(PREFIX)))
    if not any(name.startswith(PREFIX) for name in found):
        raise UserError("it holds no U-Net: neither layer_with_weights-0/gamma nor batch_normalization/gamma")
    return found


def separator_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a separation network by the names an encoder gives them, also from the file of a joint network.

    One of four sources was tuned there with maxima, where our encoder of four takes means.

    Raises `UserError` if none of its layers is there.
    """
    joint = joint_weights(state)
    if f"{BACK_END}classes.weight" not in joint:
        return unet_weights(state)
    return {PREFIX + name.removeprefix(SEPARATOR): joint[name] for name in joint if name.startswith(SEPARATOR)}


def joint_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a separation network and the back end behind it by the names of `msspt_joint.JointNetwork`."""
    return renamed(state, named([*_unet_layers(SEPARATOR), *_back_end_layers(BACK_END)]))


def back_end_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a back end alone by the names of `ShortChunkCnn`; others keep their names."""
    return renamed(state, named(_back_end_layers("")))


def renamed(state: Mapping[str, Tensor], layers: Mapping[str, tuple[str, str]]) -> dict[str, Tensor]:
    """Weights by our names, with the axes torch gives them, from `layers` as `named` lists them; others keep theirs.

    What an optimiser keeps beside them is left out.
    """
    known = {name: layer for layer, names in layers.items() for name in names}
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        match = DECORATED.fullmatch(key)
        if match is None or match["weight"] not in WEIGHTS:
            continue  # counters, and the moments of Adam
        layer = known.get(match["layer"])
        name = f"{layer}.{WEIGHTS[match['weight']]}" if layer else key
        if name in found:
            raise UserError(f"it holds {key} twice, under names of two kinds: save one of them")
        axes = KERNEL_AXES.get(value.ndim) if match["weight"] == "kernel" else None
        found[name] = (value.permute(axes).contiguous() if axes else value).float()
    counted = {name.removesuffix("running_mean") for name in found if name.endswith("running_mean")}
    return found | {f"{name}num_batches_tracked": torch.tensor(0) for name in sorted(counted)}


def sources_of(shapes: Mapping[str, Sequence[int]]) -> int:
    """Return how many sources a separation network has masks for, from the shapes of its tensors.

    Raises `UserError` for a number that no published network has, `LookupError` where a tensor is missing.
    """
    sources = shapes[f"{PREFIX}mask.weight"][0]
    if sources not in SOURCES:
        raise UserError(f"it separates {sources} sources; allowed: {', '.join(map(str, SOURCES))}")
    return sources


def width_of(shapes: Mapping[str, Sequence[int]]) -> float:
    """Return the width of a separation network from the shapes of its tensors.

    Raises `UserError` if no width gives its channels, `LookupError` where a tensor is missing.
    """
    return unet.width_of(shapes, prefix=PREFIX)


@functools.cache
def _unet_layers(prefix: str) -> list[Layer]:
    with torch.device("meta"):
        network = unet.UNet(sources=1, pooling="max")
    return [(prefix + name, type(module)) for name, module in network.named_modules()]


def _back_end_layers(prefix: str) -> list[Layer]:
    blocks = [(f"blocks.{number}.{name}", kind) for number in range(BLOCKS) for name, kind in BLOCK]
    return [(prefix + name, kind) for name, kind in (*blocks, *LAST_LAYERS)]


def named(layers: Iterable[Layer]) -> dict[str, tuple[str, str]]:
    """Name of each layer with weights -> its names in Keras, numbered by kind, and in a checkpoint, numbered in all.

    `layers` come by name and kind, in the order in which the network computes them.
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
