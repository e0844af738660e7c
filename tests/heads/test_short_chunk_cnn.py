"""The Short-Chunk CNN as a head: alone on a spectrogram, and behind a U-Net."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import magnitude, unet
from workflow_scripts.heads import short_chunk_cnn
from workflow_scripts.heads.short_chunk_cnn import Options
from workflow_scripts.levels import registry
from workflow_scripts.networks.short_chunk_cnn_head import ShortChunkCnnHead

NARROW = 0.125
DECODER = [24, 24, 16, 8, 4, 4]  # of a U-Net as narrow


def head(*, sources: int, **options) -> ShortChunkCnnHead:
    torch.manual_seed(0)
    return short_chunk_cnn.build(
        Options(width=NARROW, **options), sources=sources, decoder=DECODER if sources else (), outputs=3
    )


def test_it_reads_maps_of_windows_of_3_86_seconds():
    assert short_chunk_cnn.READS == "maps"
    assert (head(sources=0).samples, head(sources=0).hop) == (61_792, 61_440)


@pytest.mark.parametrize("adaptation", ["sum", "concatenation", "none"])
@pytest.mark.parametrize(
    ("encoder", "sources"),
    [
        (magnitude.build(magnitude.Options()), 0),
        (unet.build(unet.Options(width=NARROW)), 1),
        (unet.build(unet.Options(sources=4, pooling="average", width=NARROW)), 4),
    ],
)
def test_it_fits_every_encoder_with_maps(encoder, sources, adaptation):
    built = head(sources=sources, adaptation=adaptation).eval()
    with torch.no_grad():
        maps = encoder.eval().maps(0.1 * torch.randn(2, built.samples))
        assert built(maps).shape == (2, 3)
    assert maps.magnitude.shape[2] == 384


def test_what_the_head_learned_alone_serves_every_channel_and_the_rest_is_untouched():
    alone, joint = head(sources=0), head(sources=4)
    with torch.no_grad():
        for value in alone.state_dict().values():
            value.add_(1)
    before = {key: value.clone() for key, value in joint.state_dict().items()}
    joint.initialise_from(alone)
    learned, state = alone.state_dict(), joint.state_dict()
    for key, value in state.items():
        if ".adapters." in key:
            assert torch.equal(value, before[key])
        elif key == "network.blocks.0.conv1.weight":
            assert value.shape[1] == 5
            assert all(torch.equal(value[:, [channel]], learned[key]) for channel in range(5))
        else:
            assert torch.equal(value, learned[key]), key


def test_every_normalisation_follows_with_the_momentum_of_the_options():
    for momentum in (0.01, 0.3):
        built = short_chunk_cnn.build(Options(width=NARROW, momentum=momentum), sources=0, decoder=(), outputs=2)
        norms = [module for module in built.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
        assert [norm.momentum for norm in norms] == [momentum] * 15
    assert Options().momentum == 0.01


@pytest.mark.parametrize("adaptation", ["concatenation", "none"])
def test_only_the_sum_has_three_stages(adaptation):
    with pytest.raises(UserError, match="three stages need adaptation sum"):
        head(sources=1, adaptation=adaptation).initialise_from(head(sources=0))


def test_a_pass_in_bfloat16_keeps_the_logarithm_exact():
    built, encoder = head(sources=1).eval(), unet.build(unet.Options(width=NARROW)).eval()
    inputs = []
    built.network.blocks[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        maps = encoder.maps(0.1 * torch.randn(1, built.samples))
        exact = built(maps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            reduced = built(maps)
    assert torch.equal(*inputs)
    torch.testing.assert_close(reduced.float(), exact, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adaptation": "mean"}, "adaptation: 'mean' is not allowed; allowed: sum, concatenation, none"),
        ({"width": 0}, "width: 0 is not allowed; allowed: above 0"),
        ({"momentum": 2}, "momentum: 2 is not allowed; allowed: at most 1"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UserError, match=f"options of short_chunk_cnn: {message}"):
        registry.options(short_chunk_cnn, options)
