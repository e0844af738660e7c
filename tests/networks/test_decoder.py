"""Decoders give 160 samples a frame; the mirror has the encoder's sizes in reverse."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from workflow_scripts.networks import blocks
from workflow_scripts.networks.decoder import MirroredDecoder, Upsampling, WaveformDecoder


@settings(deadline=None, max_examples=25)
@given(kernel=st.integers(1, 30), stride=st.integers(1, 10), frames=st.integers(1, 12))
def test_upsampling_gives_stride_times_the_frames(kernel, stride, frames):
    layer = Upsampling(2, 3, kernel=max(kernel, stride), stride=stride)
    assert layer(torch.randn(1, 2, frames)).shape == (1, 3, frames * stride)


@pytest.mark.parametrize("frames", [1, 7, 100])
@pytest.mark.parametrize("build", [WaveformDecoder, MirroredDecoder])
def test_160_samples_a_frame(build, frames):
    assert build(inputs=8)(torch.randn(2, 8, frames)).shape == (2, 1, 160 * frames)


def test_the_mirror_undoes_the_convolution_blocks_one_by_one():
    decoder = MirroredDecoder(inputs=512)
    encoder = blocks.build_blocks(1.0)[1:]
    for undone, block in zip(decoder.blocks, reversed(encoder), strict=True):
        assert isinstance(block.conv, nn.Conv1d)
        assert undone.deconv.kernel_size == block.conv.kernel_size
        assert undone.deconv.stride == block.conv.stride
        assert undone.deconv.weight.shape == block.conv.weight.shape, "in and out change places"
    assert decoder.W.weight.shape == (1, 64, 1)


def test_width_narrows_the_mirror():
    decoder = MirroredDecoder(inputs=40, width=0.05)
    assert [undone.deconv.in_channels for undone in decoder.blocks] == [40, 26, 13, 13, 6, 6, 4]
    assert [undone.deconv.out_channels for undone in decoder.blocks] == [26, 13, 13, 6, 6, 4, 4]


@pytest.mark.parametrize("build", [WaveformDecoder, MirroredDecoder])
def test_a_frame_is_decoded_around_its_own_samples(build):
    torch.manual_seed(0)
    decoder = build(inputs=4).double()
    for module in decoder.modules():
        if isinstance(module, nn.PReLU):
            nn.init.ones_(module.weight)  # linear, so that a frame's part can be measured
    silent, impulse = torch.zeros(1, 4, 41, dtype=torch.float64), torch.zeros(1, 4, 41, dtype=torch.float64)
    impulse[..., 20] = 1
    energy = (decoder(impulse) - decoder(silent))[0, 0].detach().square()
    centre = float((energy * (torch.arange(len(energy)) + 0.5)).sum() / energy.sum()) / 160
    assert abs(centre - 20.5) < 0.5
