"""Names and axes of weights in files of Keras and TensorFlow.

Layers are numbered by kind (`conv2d_1/kernel`), or in all (`layer_with_weights-3/kernel`), in the order in which the
code built them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import UserError

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
#: Keras stores kernels (height, width, in, out), of transposed convolutions (height, width, out, in), dense (in, out)
KERNEL_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}

Layer = tuple[str, type[nn.Module]]


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
