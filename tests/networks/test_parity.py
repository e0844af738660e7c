"""Layers and heads give the official code's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests import golden
from workflow_scripts.networks.regression_head import RegressionHead
from workflow_scripts.networks.sinc import SincConvolution
from workflow_scripts.workers import waveform


def test_fill_rule_draws_the_stream_the_cases_were_made_with():
    drawn = golden.fill_values("W.weight", [4, 3], "weight").ravel()[:3]
    np.testing.assert_allclose(drawn, [-0.77658391, 0.191179112, -0.63303256], rtol=1e-6)


@pytest.fixture
def sinc() -> tuple[golden.Case, SincConvolution]:
    case = golden.open_case("sincconv")
    layer = SincConvolution(filters=64)
    case.load_into(layer)
    return case, layer


def test_sinc_layer_starts_at_the_official_values():
    case = golden.open_case("sincconv")
    layer = SincConvolution(filters=64)
    for key, value in layer.state_dict().items():
        np.testing.assert_allclose(value, case.arrays[f"param:{key}"], rtol=1e-6)


def test_sinc_layer_outputs(sinc):
    case, layer = sinc
    assert case.error("filters", layer.filters()) <= 1
    assert case.error("y", layer(case.input("x"))) <= 1


def test_sinc_layer_with_negative_edges_and_bands_beyond_half_the_sample_rate(sinc):
    case, layer = sinc
    with torch.no_grad():
        layer.low_hz_ *= -1
        layer.band_hz_[60:] += 3000
    assert case.error("y_changed", layer(case.input("x"))) <= 1


def test_sinc_layer_training_pass(sinc):
    case, layer = sinc
    case.check_training_pass(layer, case.input("x"))


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("pase_head_mlp_r1", lambda: RegressionHead(inputs=100, outputs=1025)),
        ("pase_decoder", lambda: decoder_of(100, decoder="official")),
    ],
)
def test_heads(name, build):
    case, head = golden.open_case(name), build()
    case.load_into(head)
    assert case.error("y", head.eval()(case.input("embedding"))) <= 1
    case.check_training_pass(head, case.input("embedding"))


@pytest.mark.parametrize(
    ("embedding", "outputs", "expected"),
    [(512, 1025, 395_009), (512, 4, 132_612), (512, 20, 136_724), (512, 12, 134_668), (512, 384, 230_272)],
)
def test_regression_head_has_the_measured_number_of_parameters(embedding, outputs, expected):
    assert count(RegressionHead(inputs=embedding, outputs=outputs)) == expected


def decoder_of(embedding: int, **options) -> nn.Module:
    """The decoder of a waveform worker."""
    return waveform.build(waveform.Options(**options), embedding_size=embedding).decoder


@pytest.mark.parametrize(("embedding", "expected"), [(100, 6_461_377), (256, 8_857_537), (512, 12_789_697)])
def test_the_official_decoder_has_the_measured_number_of_parameters(embedding, expected):
    assert count(decoder_of(embedding, decoder="official")) == expected


@pytest.mark.parametrize(("embedding", "width"), [(100, 1.0), (256, 1.0), (512, 1.0), (512, 0.5), (40, 0.125)])
def test_the_decoder_of_the_paper_has_the_parameters_of_the_mirrored_blocks(embedding, width):
    """Weights of each transposed convolution, and a bias and a slope of PReLU for each of its maps, from PASE.cfg."""
    sizes = [embedding, *(round(width * channels) for channels in (512, 256, 256, 128, 128, 64, 64))]
    pairs = zip(sizes, sizes[1:], [11, 11, 11, 11, 11, 11, 20], strict=False)
    weights = sum(inputs * outputs * kernel for inputs, outputs, kernel in pairs)
    assert count(decoder_of(embedding, width=width)) == weights + 2 * sum(sizes[1:]) + sizes[-1] + 1


def test_the_decoder_of_the_paper_has_5_8_million_parameters_and_is_the_default():
    assert count(decoder_of(512)) == count(decoder_of(512, decoder="mirrored")) == 5_761_857


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
