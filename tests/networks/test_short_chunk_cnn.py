"""The Short-Chunk CNN has the sizes measured with the authors' code, and its parts do what their names say."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

from workflow_scripts.networks import log_mel as log_mel_module
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.log_mel import log_mel, mel_of_log
from workflow_scripts.networks.maps import Maps
from workflow_scripts.networks.short_chunk_cnn import ShortChunkCnn
from workflow_scripts.networks.unet import CHANNELS, UNet

DECODER = list(reversed(CHANNELS))
NARROW = 0.125


def network(*, sources: int, outputs: int = 50, adaptation: str = "sum", width: float = 1.0) -> ShortChunkCnn:
    torch.manual_seed(0)
    decoder = [max(4, round(width * channels)) for channels in DECODER] if sources else []
    return ShortChunkCnn(sources=sources, decoder=decoder, outputs=outputs, adaptation=adaptation, width=width)


def random_maps(*, sources: int, width: float = NARROW, batch: int = 2) -> Maps:
    """Maps of the shapes a U-Net gives for 384 frames."""
    drawn = torch.Generator().manual_seed(1)
    decoder = [
        torch.randn(batch, max(4, round(width * channels)), 384 // 2**k, 256 // 2**k, generator=drawn)
        for channels, k in zip(DECODER, range(5, -1, -1), strict=True)
    ]
    magnitude = torch.rand(batch, 1, 384, 256, generator=drawn)
    masked = magnitude * torch.rand(batch, sources, 384, 256, generator=drawn)
    return Maps(magnitude=magnitude, masked=masked, decoder=tuple(decoder) if sources else ())


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def moving(module: nn.Module) -> int:
    return sum(value.numel() for key, value in module.state_dict().items() if "running" in key)


@pytest.mark.parametrize(("outputs", "expected"), [(50, 2_396_530), (16, 2_379_088)])
@pytest.mark.parametrize("adaptation", ["sum", "concatenation", "none"])
def test_alone_it_has_the_measured_size_whatever_the_adaptation(outputs, expected, adaptation):
    alone = network(sources=0, outputs=outputs, adaptation=adaptation)
    assert (count_parameters(alone), moving(alone)) == (expected, 4_608)


@pytest.mark.parametrize(
    ("sources", "outputs", "adaptation", "expected"),
    [
        (1, 50, "concatenation", 7_240_151),
        (4, 50, "concatenation", 7_242_746),
        (1, 16, "concatenation", 7_222_709),
        (1, 50, "none", 6_539_735),
    ],
)
def test_the_joint_network_has_the_measured_size(sources, outputs, adaptation, expected):
    parts = [UNet(sources=sources, pooling="max"), network(sources=sources, outputs=outputs, adaptation=adaptation)]
    assert (sum(map(count_parameters, parts)), sum(map(moving, parts))) == (expected, 9_572)


def test_summing_leaves_the_blocks_as_they_are_alone():
    alone, joint = network(sources=0), network(sources=4)
    shapes = {key: value.shape for key, value in joint.state_dict().items() if not key.startswith("adapters")}
    differing = [key for key, value in alone.state_dict().items() if shapes[key] != value.shape]
    assert differing == ["blocks.0.conv1.weight"]
    assert [tuple(adapter.weight.shape[:2]) for adapter in joint.adapters] == [
        (64, 32),
        (64, 64),
        (128, 128),
        (128, 192),
        (128, 192),
    ]


@pytest.mark.parametrize("sources", [0, 1, 4])
@pytest.mark.parametrize("adaptation", ["sum", "concatenation", "none"])
def test_logits_have_a_value_per_class_and_learning_reaches_every_weight(sources, adaptation):
    built = network(sources=sources, outputs=3, adaptation=adaptation, width=NARROW).train()
    logits = built(random_maps(sources=sources))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    still = {name for name, parameter in built.named_parameters() if parameter.grad is None}
    assert not still
    normalised = {name for name, parameter in built.named_parameters() if not parameter.grad.any()}
    expected = {f"blocks.{block}.conv{place}.bias" for block in range(7) for place in (1, 2)} | {"dense.bias"}
    assert expected <= normalised  # normalisation takes these off


@pytest.mark.parametrize("adaptation", ["sum", "concatenation"])
def test_every_map_but_the_finest_is_read_at_its_own_block(adaptation):
    built, maps = network(sources=1, outputs=3, adaptation=adaptation, width=NARROW).eval(), random_maps(sources=1)
    inputs: list[int] = []
    for block in built.blocks:
        block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        built(maps)
        plain = list(inputs)
        for level in range(6):
            inputs.clear()
            decoder = [features + (place == level) for place, features in enumerate(maps.decoder)]
            built(Maps(magnitude=maps.magnitude, masked=maps.masked, decoder=tuple(decoder)))
            changed = [place for place in range(7) if not torch.equal(inputs[place], plain[place])]
            assert changed == ([] if level == 5 else list(range(5 - level, 7))), level


def test_without_adaptation_no_map_is_read_but_the_sources_are():
    built, maps = network(sources=1, outputs=3, adaptation="none", width=NARROW).eval(), random_maps(sources=1)
    silent = Maps(magnitude=maps.magnitude, masked=maps.masked)
    unmasked = Maps(magnitude=maps.magnitude, masked=0 * maps.masked, decoder=maps.decoder)
    with torch.no_grad():
        assert torch.equal(built(maps), built(silent))
        assert not torch.equal(built(maps), built(unmasked))


@pytest.mark.parametrize(
    ("adaptation", "mixture"), [("sum", log_mel), ("concatenation", mel_of_log), ("none", mel_of_log)]
)
def test_separated_sources_come_before_the_mixture(adaptation, mixture):
    built, maps = network(sources=4, outputs=3, adaptation=adaptation, width=NARROW).eval(), random_maps(sources=4)
    inputs = []
    built.blocks[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        built(maps)
    assert torch.equal(inputs[0], torch.cat([log_mel(maps.masked), mixture(maps.magnitude)], dim=1))


def test_running_statistics_follow_as_kerass_do():
    """Behind convolutions with the unbiased variance, behind the dense layer with that of the batch."""
    built = network(sources=0, outputs=3, width=NARROW).train()
    inputs = {}
    for name in ("norm", "blocks.0.norm1"):
        hook = lambda module, given, name=name: inputs.update({name: given[0].detach().clone()})  # noqa: E731
        built.get_submodule(name).register_forward_pre_hook(hook)
    built(random_maps(sources=0, batch=3))
    for name, correction in (("norm", 0), ("blocks.0.norm1", 1)):
        axes = [axis for axis in range(inputs[name].ndim) if axis != 1]
        variance, mean = torch.var_mean(inputs[name], dim=axes, correction=correction)
        norm = built.get_submodule(name)
        torch.testing.assert_close(norm.running_mean, 0.01 * mean)
        torch.testing.assert_close(norm.running_var, 0.99 + 0.01 * variance)


def test_logarithm_before_the_mel_matrix_differs_from_after():
    magnitude = torch.rand(1, 1, 5, 256)
    matrix = spectrogram.mel_matrix()
    torch.testing.assert_close(log_mel(magnitude), torch.log10(magnitude @ matrix + 1e-4), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mel_of_log(magnitude), torch.log10(magnitude + 1e-4) @ matrix, rtol=1e-4, atol=1e-5)


def test_gradients_pass_after_a_use_in_inference_mode():
    spectrogram.mel_matrix.cache_clear()
    module = importlib.reload(log_mel_module)
    with torch.inference_mode():
        spectrogram.mel_matrix()
        module.log_mel(torch.rand(1, 1, 5, 256))
    magnitude = torch.rand(1, 1, 5, 256, requires_grad=True)
    module.log_mel(magnitude).sum().backward()
    assert magnitude.grad.any()


def test_dense_weights_read_frame_by_frame_as_keras_lays_maps_out():
    built = network(sources=0, outputs=3, width=NARROW).eval()
    seen = {}
    built.blocks[-1].register_forward_hook(lambda *given: seen.update(maps=given[2]))
    built.dense.register_forward_pre_hook(lambda _, given: seen.update(flat=given[0]))
    with torch.no_grad():
        built(random_maps(sources=0))
    maps, flat = seen["maps"], seen["flat"]
    assert maps.shape[2:] == (2, 1)
    assert torch.equal(flat[:, : maps.shape[1]], maps[:, :, 0, 0])
    assert torch.equal(flat[:, maps.shape[1] :], maps[:, :, 1, 0])
