"""Published back ends and joint networks import by every naming, and compute what the authors' code computes.

The reference here is written from that code's description, layer by layer with maps as Keras lays them out.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests import golden
from workflow_scripts.checkpoints import import_networks
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks import msspt, spectrogram, unet
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.short_chunk_cnn import ShortChunkCnn

pytestmark = pytest.mark.slow

CHANNELS_ALONE, CHANNELS_JOINT = (64, 64, 128, 128, 128, 128, 256), (64, 128, 128, 128, 128, 128, 256)
UP = (192, 192, 128, 64, 32, 16)
FIVE = (1, 2, 3, 4, 5)
#: sources, classes, and the blocks that hear the U-Net's maps -> trained parameters, as measured with the authors' code
SIZES = {(1, 50, FIVE): 7_240_151, (4, 50, FIVE): 7_242_746, (1, 50, ()): 6_539_735, (1, 16, FIVE): 7_222_709}
#: not measured, but counted from those: fewer of the maps
FEWER = {(1, 50, (1, 2, 3)): 7_240_151 - 9 * 128 * (192 + 192), (4, 16, (4,)): 7_242_746 - 34 * 513 - 9 * 128 * 416}
Shapes = list[tuple[str, dict[str, tuple[int, ...]]]]


def norm(size: int) -> tuple[str, dict[str, tuple[int, ...]]]:
    return "batch_normalization", dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (size,))


def conv(inputs: int, outputs: int) -> tuple[str, dict[str, tuple[int, ...]]]:
    return "conv2d", {"kernel": (3, 3, inputs, outputs), "bias": (outputs,)}


def back_end(widths: tuple[int, ...], *, inputs: int, beside: tuple[int, ...], classes: int) -> Shapes:
    layers: Shapes = []
    for width, more in zip(widths, beside, strict=True):
        layers += [conv(inputs + more, width), norm(width), conv(width, width), norm(width)]
        inputs = width
    dense = [("dense", {"kernel": size, "bias": size[1:]}) for size in ((512, 512), (512, classes))]
    return [*layers, dense[0], norm(512), dense[1]]


def separator(sources: int) -> Shapes:
    layers: Shapes = []
    for inputs, width in itertools.pairwise((1, *UP[::-1])):
        layers += [norm(inputs), conv(inputs, width), norm(width), conv(width, width)]
    inputs = UP[0]
    for place, width in enumerate(UP):
        joined = (0, 192, 128, 64, 32, 16)[place]  # of the pooled map that joins
        layers.append(("conv2d_transpose", {"kernel": (2, 2, width, inputs + joined), "bias": (width,)}))
        layers += [norm(width), conv(width, width), norm(width), conv(width, width)]
        inputs = width
    return [*layers, norm(17), conv(17, 32), norm(32), conv(32, 32), conv(32, sources)]


def to_published_names(layers: Shapes, naming: str) -> dict[str, Tensor]:
    """Filled weights, under Keras names or those of a TensorFlow checkpoint."""
    counts: dict[str, int] = {}
    state = {}
    for place, (kind, weights) in enumerate(layers):
        number = counts[kind] = counts.get(kind, -1) + 1
        keras = f"{kind}_{number}" if number else kind
        name = keras if naming == "keras" else f"layer_with_weights-{place}"
        for weight, shape in weights.items():
            fill = {"kernel": "keras_kernel", "bias": "bias", "gamma": "scale", "beta": "bias"}.get(weight)
            fill = fill or {"moving_mean": "mean", "moving_variance": "var"}[weight]
            key = f"{name}/{weight}" + ("" if naming == "keras" else "/.ATTRIBUTES/VARIABLE_VALUE")
            state[key] = fill_tensor(f"{keras}/{weight}", shape, fill)
    return state


@functools.cache
def fill_tensor(key: str, shape: tuple[int, ...], kind: str) -> Tensor:
    """Values of a weight, drawn once for all networks that have it."""
    return torch.from_numpy(golden.fill_values(key, list(shape), kind))


def layers_of(state: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Weights layer by layer, as they were written."""
    grouped: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        layer, weight = key.split("/")[:2]
        grouped.setdefault(layer, {})[weight] = value
    return iter(grouped.values())


def logarithm(values: Tensor) -> Tensor:
    return torch.log(values + 1e-4) / 2.3025


def convolve(values: Tensor, weights: dict[str, Tensor]) -> Tensor:
    kernel = weights["kernel"].permute(3, 2, 0, 1)
    return F.conv2d(values.permute(0, 3, 1, 2), kernel, weights["bias"], padding=1).permute(0, 2, 3, 1)


def normalise(values: Tensor, weights: dict[str, Tensor], *, training: bool = False) -> Tensor:
    """Values (..., channels) by the running statistics; in training by their own, towards which those move."""
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    if training:
        channels = values.flatten(0, -2)
        mean, variance = channels.mean(dim=0), channels.var(dim=0, correction=0)
        count = 1 if values.ndim == 2 else len(channels) / (len(channels) - 1)  # behind convolutions it is the unbiased
        weights["moving_mean"] = 0.99 * weights["moving_mean"] + 0.01 * mean.detach()
        weights["moving_variance"] = 0.99 * weights["moving_variance"] + 0.01 * count * variance.detach()
    scaled = (values - mean) / (variance + 1e-3).sqrt()
    return scaled * weights["gamma"] + weights["beta"]


def pool(values: Tensor, size: tuple[int, int]) -> Tensor:
    return F.max_pool2d(values.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)


def tag(
    values: Tensor, layers: Iterator[dict[str, Tensor]], maps: dict[int, Tensor], *, training: bool = False
) -> Tensor:
    """Logits of the back end, from its spectrograms (batch, frames, bands, channels) and maps by block."""
    for place in range(7):
        if place in maps:
            values = torch.cat([values, pool(maps[place], (1, 2))], dim=-1)
        for _ in range(2):
            values = normalise(convolve(values, next(layers)), next(layers), training=training).relu()
        values = pool(values, (2, 2) if place < 6 else (3, 2))
    dense, last_norm, classes = next(layers), next(layers), next(layers)
    hidden = normalise(values.flatten(1) @ dense["kernel"] + dense["bias"], last_norm, training=training).relu()
    return hidden @ classes["kernel"] + classes["bias"]


@pytest.fixture
def magnitude() -> Tensor:
    return torch.from_numpy(abs(golden.make_rng("back end").standard_normal((2, 384, 256))).astype(np.float32))


def import_network(state, path, how):
    torch.save(state, path)
    return how(import_networks.read_checkpoint(path))


@pytest.mark.parametrize("naming", ["keras", "checkpoint"])
@pytest.mark.parametrize("classes", [50, 16])
def test_a_back_end_imports_and_computes_what_the_code_does(tmp_path, magnitude, naming, classes):
    layers = back_end(CHANNELS_ALONE, inputs=1, beside=(0,) * 7, classes=classes)
    state = to_published_names(layers, naming)
    network = import_network(state, tmp_path / "tail.pt", import_networks.import_short_chunk_cnn)
    assert sum(parameter.numel() for parameter in network.parameters()) == {50: 2_396_530, 16: 2_379_088}[classes]
    inputs = logarithm(magnitude @ spectrogram.mel_matrix())[..., None]
    with torch.no_grad():
        output = network(Maps(magnitude=magnitude[:, None], masked=magnitude[:, None][:, :0]))
        torch.testing.assert_close(output, tag(inputs, layers_of(state), {}), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", SIZES | FEWER)
def test_a_joint_network_imports_and_computes_what_the_code_does(tmp_path, magnitude, kind):
    sources, classes, hearing = kind
    layers = joint(sources, classes=classes, hearing=hearing)
    state, other = (to_published_names(layers, naming) for naming in ("keras", "checkpoint"))
    network = import_network(state, tmp_path / "joint.pt", import_networks.import_joint_network)
    same = import_network(other, tmp_path / "other.pt", import_networks.import_joint_network)
    torch.testing.assert_close(network.state_dict(), same.state_dict(), rtol=0, atol=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == (SIZES | FEWER)[kind]
    assert isinstance(network.back_end, ShortChunkCnn)
    with torch.no_grad():
        separated = network.separator(logarithm(magnitude)[:, None])
        matrix = spectrogram.mel_matrix()
        features = [logarithm((magnitude * separated.mask[:, source]) @ matrix) for source in range(sources)]
        inputs = torch.stack([*features, logarithm(magnitude) @ matrix], dim=-1)
        decoder_maps = {place: separated.decoder[5 - place].permute(0, 2, 3, 1) for place in hearing}
        layers = layers_of(state)
        for _ in range(len(separator(sources))):
            next(layers)
        torch.testing.assert_close(network(magnitude[:, None]), tag(inputs, layers, decoder_maps), rtol=1e-4, atol=1e-5)


def joint(sources: int, *, classes: int = 50, hearing: tuple[int, ...] = FIVE) -> Shapes:
    beside = tuple(UP[5 - place] if place in hearing else 0 for place in range(7))
    return [*separator(sources), *back_end(CHANNELS_JOINT, inputs=sources + 1, beside=beside, classes=classes)]


def test_the_separator_of_a_joint_network_is_that_of_its_own_file(tmp_path):
    """The two parts are numbered on; the first is numbered as in a file of its own."""
    state = to_published_names(joint(1), "checkpoint")
    network = import_network(state, tmp_path / "joint.pt", import_networks.import_joint_network)
    alone = msspt.select_unet_weights(to_published_names(separator(1), "checkpoint"))
    for key, value in network.separator.state_dict().items():
        assert torch.equal(value, alone[f"{msspt.PREFIX}{key}"]), key


@pytest.mark.parametrize(
    ("how", "change", "message"),
    [
        ("tail", lambda state: drop(state, "dense_1/kernel"), "no fitting classes.weight"),
        ("tail", lambda state: drop(state, "conv2d_5/bias"), "lacks 1 of .*, first blocks.2.conv2.bias"),
        ("tail", lambda state: state | {"conv2d_14/bias": torch.ones(3)}, "1 tensors too many"),
        ("tail", lambda state: state | {"dense/kernel": torch.ones(3, 3)}, "dense.weight has shape"),
        ("tail", lambda state: {"weight": torch.ones(3)}, "no fitting blocks.1.conv1.weight"),
        ("tail", lambda state: state | {"conv2d_2/kernel": torch.ones(3, 3, 96, 128)}, "import it as a joint network"),
        ("joint", lambda state: drop(state, "dense_1/kernel"), "no fitting back_end.classes.weight"),
        ("joint", lambda state: drop(state, "conv2d_26/kernel"), "no fitting separator.mask.weight"),
        ("joint", lambda state: state | {"conv2d_29/kernel": torch.ones(3, 3, 70, 128)}, "other connections"),
        ("joint", lambda state: to_published_names(separator(1), "keras"), "no fitting back_end.blocks.1.conv1.weight"),
        ("joint", lambda state: state | {"conv2d_29/kernel": torch.ones(1, 1, 32, 64)}, "only networks of its first"),
    ],
)
def test_wrong_files_end_in_one_clear_line(tmp_path, how, change, message):
    layers = joint(1) if how == "joint" else back_end(CHANNELS_ALONE, inputs=1, beside=(0,) * 7, classes=50)
    read = import_networks.import_joint_network if how == "joint" else import_networks.import_short_chunk_cnn
    with pytest.raises(UserError, match=message) as raised:
        import_network(change(to_published_names(layers, "keras")), tmp_path / "file.pt", read)
    assert "\n" not in str(raised.value)


def drop(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != key}


def test_the_widths_here_are_those_of_the_network():
    assert tuple(reversed(unet.CHANNELS)) == UP


@pytest.mark.parametrize(("sources", "pooling"), [(1, "max"), (4, "average")])
@pytest.mark.parametrize("naming", ["keras", "checkpoint"])
def test_the_separator_of_a_joint_network_is_an_encoder(tmp_path, naming, sources, pooling):
    torch.save(to_published_names(joint(sources), naming), tmp_path / "joint.pt")
    encoder, options = import_networks.import_encoder(
        import_networks.read_checkpoint(tmp_path / "joint.pt"), name="unet"
    )
    assert (options.sources, options.pooling) == (sources, pooling)
    wanted = import_networks.import_joint_network(
        import_networks.read_checkpoint(tmp_path / "joint.pt")
    ).separator.state_dict()
    torch.testing.assert_close(dict(encoder.network.state_dict()), dict(wanted), rtol=0, atol=0)


@pytest.mark.parametrize("sources", [1, 4])
def test_a_joint_network_learns_as_keras_would(tmp_path, magnitude, sources):
    """In training mode: the batch's own statistics throughout, and where they leave the running ones."""
    state = to_published_names(joint(sources), "keras")
    network = import_network(state, tmp_path / "joint.pt", import_networks.import_joint_network)
    network.train()
    network.back_end.dropout.eval()
    with torch.no_grad():
        separated = copy.deepcopy(network.separator)(logarithm(magnitude)[:, None])
        matrix = spectrogram.mel_matrix()
        features = [logarithm((magnitude * separated.mask[:, source]) @ matrix) for source in range(sources)]
        inputs = torch.stack([*features, logarithm(magnitude) @ matrix], dim=-1)
        maps = {place: separated.decoder[5 - place].permute(0, 2, 3, 1) for place in FIVE}
        layers = list(layers_of(state))[len(separator(sources)) :]
        expected = tag(inputs, iter(layers), maps, training=True)
    logits = network(magnitude[:, None])
    torch.testing.assert_close(logits.detach(), expected, rtol=1e-3, atol=1e-3)  # two windows normalise each other
    norms = [weights for weights in layers if "moving_mean" in weights]
    for ours, theirs in ((network.back_end.blocks[0].norm1, norms[0]), (network.back_end.norm, norms[-1])):
        torch.testing.assert_close(ours.running_mean, theirs["moving_mean"], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.running_var, theirs["moving_variance"], rtol=1e-4, atol=1e-5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


#: of the authors' code (TensorFlow 2.15.1), weights by the rule of the golden cases, in training mode: bands of a frame
#: of the log-mel spectrogram, first block (bands by channels), last hidden layer before its dropout. The tolerance of
#: the first is twice the rounding error; those of the others are twenty times what an input error of 2e-7 does.
LEARNED_SPECTROGRAM = [-1.46843, -0.4372717, -0.1491964, 0.2764291, -0.1696076, -0.4998118, 0.3013329, 0.4269145]
LEARNED_BLOCK = [[0.4940089, 3.539031, 0.0, 2.367854], [0.6254836, 3.065549, 0.0, 2.072194]]
LEARNED_HIDDEN = [1.0798618, 0.5653291, 0.9388286, 0.8911238, 0.0, 1.0370622, 0.8693786, 0.0]


def test_a_back_end_alone_learns_from_tensorflows_spectrograms(tmp_path):
    layers = back_end(CHANNELS_ALONE, inputs=1, beside=(0,) * 7, classes=50)
    state = to_published_names(layers, "keras")
    network = import_network(state, tmp_path / "tail.pt", import_networks.import_short_chunk_cnn).train()
    network.dropout.eval()
    kept = {}
    network.blocks[0].register_forward_hook(lambda _, inputs, output: kept.update(block=(*inputs, output)))
    network.dropout.register_forward_hook(lambda _, inputs, output: kept.update(hidden=output))
    magnitude = torch.from_numpy(
        abs(golden.make_rng("mel case/alone").standard_normal((2, 1, 384, 256))).astype(np.float32)
    )
    with torch.no_grad():
        network(Maps(magnitude=magnitude, masked=magnitude[:, :0]))
    spectrograms, maps = kept["block"]
    for values, expected, atol in (
        (spectrograms[1, 0, 100, ::16], LEARNED_SPECTROGRAM, 1e-6),
        (maps[1, ::16, 100, :32:16].T, LEARNED_BLOCK, 1e-4),
        (kept["hidden"][1, 96:104], LEARNED_HIDDEN, 1e-2),
    ):
        torch.testing.assert_close(values, torch.tensor(expected), rtol=0, atol=atol)


def test_the_u_net_of_a_joint_network_takes_maxima_whatever_the_sources(tmp_path):
    network = import_network(
        to_published_names(joint(4), "keras"), tmp_path / "joint.pt", import_networks.import_joint_network
    )
    assert network.separator.pool is F.max_pool2d
