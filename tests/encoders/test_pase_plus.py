"""PASE+ equals a naive re-statement of its description, forwards and backwards, and keeps the encoder contract."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import pase_plus
from workflow_scripts.levels import registry
from workflow_scripts.networks.pase_plus import PasePlus
from workflow_scripts.networks.sizes.pase import MIN_SAMPLES

TINY = {"embedding": 5, "width": 0.02}
KERNELS, STRIDES = (251, 20, 11, 11, 11, 11, 11, 11), (1, 10, 2, 1, 2, 1, 2, 2)
WINDOW = [0.54 - 0.46 * math.cos(2 * math.pi * (number * (251 / 2 - 1) / 124) / 251) for number in range(125)]
TIME = [2 * math.pi * (number - 125) / 16000 for number in range(125)]


def exact_frames(weights: dict[str, Tensor], audio: Tensor, *, training: bool, layers: int) -> Tensor:
    """PASE+ as described, in float64 and with loops over taps, frames and blocks."""
    maps, skips = audio[:, None], []
    for number, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
        key = f"blocks.{number}"
        if number == 0:
            weight, bias = sinc_filters(weights[f"{key}.conv.low_hz_"], weights[f"{key}.conv.band_hz_"]), None
            left = right = 125
        else:
            weight, bias = weights[f"{key}.conv.weight"], weights[f"{key}.conv.bias"]
            even_or_strided = stride > 1 or kernel % 2 == 0
            left, right = (kernel // 2 - 1 if even_or_strided else kernel // 2), kernel // 2
        maps = convolve(pad_by_reflection(maps, left, right), weight, bias, stride)
        maps = normalise(maps, weights, f"{key}.norm", training=training)
        maps = maps * weights[f"{key}.norm.weight"][:, None] + weights[f"{key}.norm.bias"][:, None]
        maps = torch.where(maps > 0, maps, maps * weights[f"{key}.act.weight"][:, None])
        if number < 7:
            skips.append(convolve(maps, weights[f"denseskips.{number}.weight"], None, 1))
    for layer in range(layers):
        maps = recurrent(maps, weights[f"rnn.layers.{layer}.linear.weight"], weights[f"rnn.layers.{layer}.linear.bias"])
    frames = convolve(maps, weights["W.weight"], weights["W.bias"], 1)
    for skip in skips:
        factor = skip.shape[-1] // frames.shape[-1]
        parts = [skip[..., t * factor : (t + 1) * factor].mean(-1) for t in range(frames.shape[-1])]
        frames = frames + torch.stack(parts, dim=-1)
    return normalise(frames, weights, "norm_out", training=training)


def sinc_filters(low_hz: Tensor, band_hz: Tensor) -> Tensor:
    filters = []
    for p_low, p_band in zip(low_hz[:, 0], band_hz[:, 0], strict=True):
        low = 50 + p_low.abs()
        high = (low + 50 + p_band.abs()).clamp(50, 8000)
        left = []
        for window, time in zip(WINDOW, TIME, strict=True):
            left.append((torch.sin(high * time) - torch.sin(low * time)) / (time / 2) * window)
        whole = torch.stack([*left, 2 * (high - low), *reversed(left)])
        filters.append(whole / (2 * (high - low)))
    return torch.stack(filters)[:, None]


def pad_by_reflection(maps: Tensor, left: int, right: int) -> Tensor:
    last = maps.shape[-1] - 1
    places = [*range(left, 0, -1), *range(last + 1), *range(last - 1, last - 1 - right, -1)]
    return maps[..., places]


def convolve(maps: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    frames = (maps.shape[-1] - weight.shape[-1]) // stride + 1
    result = torch.zeros(len(maps), len(weight), frames, dtype=maps.dtype)
    for tap in range(weight.shape[-1]):
        inputs = maps[..., tap : tap + (frames - 1) * stride + 1 : stride]
        result = result + torch.einsum("oi,bit->bot", weight[..., tap], inputs)
    return result if bias is None else result + bias[:, None]


def normalise(maps: Tensor, weights: dict[str, Tensor], key: str, *, training: bool) -> Tensor:
    if training:
        mean = maps.mean((0, 2))[:, None]
        variance = (maps - mean).square().mean((0, 2))[:, None]
    else:
        mean, variance = weights[f"{key}.running_mean"][:, None], weights[f"{key}.running_var"][:, None]
    return (maps - mean) / torch.sqrt(variance + 1e-5)


def recurrent(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    cell, before, outputs = 0.0, torch.zeros_like(maps[..., 0]), []
    for frame in maps.unbind(-1):
        z, f, o = (torch.cat([frame, before], dim=1) @ weight.T + bias).chunk(3, dim=1)
        cell = f.sigmoid() * z.tanh() + (1 - f.sigmoid()) * cell
        outputs.append(o.sigmoid() * cell)
        before = frame
    return torch.stack(outputs, dim=-1)


def shaken(**options) -> PasePlus:
    """Build an encoder none of whose parameters and buffers stands at a neutral value."""
    torch.manual_seed(1)
    encoder = pase_plus.build(pase_plus.Options(**TINY | options))
    with torch.no_grad():
        for key, value in encoder.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point() and not key.endswith("hz_"):
                value.add_(0.2 * torch.randn_like(value))
    return encoder


# 1600 samples: no rounding; 2719: every factor leaves a tail; 16155: one frame more than samples // 160
@pytest.mark.parametrize(("samples", "layers"), [(1600, 1), (2719, 2), (16155, 1)])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_frames_and_gradients_equal_the_description(*, samples, layers, training, dtype, tolerance):
    encoder = shaken(rnn_layers=layers).to(dtype).train(training)
    encoder.blocks[0].conv.window.copy_(
        torch.tensor(WINDOW, dtype=torch.float64)
    )  # its own tables are rounded to float32
    encoder.blocks[0].conv.radians_per_hz.copy_(torch.tensor([TIME], dtype=torch.float64))
    weights = {
        key: value.detach().double().requires_grad_(value.requires_grad)
        for key, value in encoder.state_dict(keep_vars=True).items()
    }
    audio = (0.3 * torch.randn(2, samples, dtype=dtype)).requires_grad_()
    exact_audio = audio.detach().double().requires_grad_()
    expected = exact_frames(weights, exact_audio, training=training, layers=layers)
    output = encoder(audio)
    torch.testing.assert_close(output.double(), expected, rtol=tolerance, atol=tolerance)

    upstream = torch.randn_like(expected)
    (expected * upstream).sum().backward()
    (output * upstream.to(dtype)).sum().backward()
    parameters = dict(encoder.named_parameters())
    assert set(parameters) == {key for key, value in weights.items() if value.requires_grad}
    pairs = {key: (parameter.grad, weights[key].grad) for key, parameter in parameters.items()}
    if training:  # normalisation takes these biases out again, so their gradients are rounding errors alone
        pairs = {key: pair for key, pair in pairs.items() if not key.endswith("conv.bias") and key != "W.bias"}
    for key, (ours, theirs) in (pairs | {"audio": (audio.grad, exact_audio.grad)}).items():
        error = float((ours.double() - theirs).norm() / theirs.norm())
        assert error < 10 * tolerance, f"{key}: {error}"


@pytest.mark.parametrize(("embedding", "expected"), [(256, 7_832_896), (100, 7_533_220), (512, 8_324_672)])
def test_number_of_parameters(embedding, expected):
    encoder = pase_plus.build(pase_plus.Options(embedding=embedding))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected
    assert sum(parameter.numel() for parameter in encoder.rnn.parameters()) == 1_574_400
    assert sum(parameter.numel() for parameter in encoder.denseskips.parameters()) == 1408 * embedding
    assert encoder.pooled_size == encoder.embedding_size == embedding


def test_keys_are_the_official_ones_in_the_official_order():
    keys = list(pase_plus.build(pase_plus.Options(**TINY, rnn_layers=2)).state_dict())
    assert keys[:7] == [f"denseskips.{number}.weight" for number in range(7)]
    assert keys[7:9] == ["blocks.0.conv.low_hz_", "blocks.0.conv.band_hz_"]
    assert keys[-10:] == [
        "blocks.7.act.weight",
        *(f"rnn.layers.{layer}.linear.{kind}" for layer in (0, 1) for kind in ("weight", "bias")),
        "W.weight",
        "W.bias",
        "norm_out.running_mean",
        "norm_out.running_var",
        "norm_out.num_batches_tracked",
    ]


@pytest.mark.parametrize("samples", [MIN_SAMPLES, 480, 1000, 16000, 16001, 16150, 16159, 160155])
def test_frames_round_as_those_of_pase(samples):
    encoder = pase_plus.build(pase_plus.Options(**TINY)).eval()
    rounded_up = samples == MIN_SAMPLES or samples % 160 > 150
    with torch.no_grad():
        assert encoder(torch.randn(1, samples)).shape == (1, 5, samples // encoder.hop + rounded_up)


def test_audio_too_short_for_the_padding_is_refused_in_one_line():
    encoder = pase_plus.build(pase_plus.Options(**TINY))
    with pytest.raises(UserError, match="at least 471 samples"):
        encoder(torch.randn(1, MIN_SAMPLES - 1))


def test_width_narrows_blocks_and_recurrent_layers_and_not_the_embedding():
    encoder = pase_plus.build(pase_plus.Options(embedding=512, width=0.05, rnn_layers=2))
    assert [block.norm.num_features for block in encoder.blocks] == [4, 4, 6, 6, 13, 13, 26, 26]
    assert [tuple(layer.linear.weight.shape) for layer in encoder.rnn.layers] == [(78, 52), (78, 52)]
    assert encoder.W.out_channels == 512


@pytest.mark.parametrize("bad", [{"embedding": 0}, {"width": 0.0}, {"width": float("nan")}, {"rnn_layers": 0}])
def test_impossible_options_are_refused(bad):
    message = (
        f"options of pase_plus: {next(iter(bad))}: .*; allowed: (at least 1|above 0.0|a number( that is finite)?)$"
    )
    with pytest.raises(UserError, match=message):
        registry.options(pase_plus, bad)


def test_bf16_autocast_gives_float32_frames_near_the_exact_ones():
    encoder = pase_plus.build(pase_plus.Options(embedding=8, width=0.1)).eval()
    audio = 0.3 * torch.randn(1, 8000)
    with torch.no_grad():
        exact = encoder(audio)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = encoder(audio)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
