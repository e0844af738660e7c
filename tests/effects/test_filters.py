"""Filters pass what they should, and do not shift it in time."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effects.signals import RATE, level, tones, white
from workflow_scripts.effects.filters import apply_filters


def apply_filter(audio, hertz: float, *, high_pass: bool, rate: int = RATE):
    rows = torch.ones(len(audio), dtype=torch.float64)
    return apply_filters(audio, cutoffs=rows * hertz / rate, high_pass=rows.bool() == high_pass)


@settings(deadline=None, max_examples=15)
@given(hertz=st.floats(2200, 4000))
def test_a_low_pass_keeps_what_is_below_and_removes_what_is_above(hertz):
    audio = white(1)
    output = apply_filter(audio, hertz, high_pass=False)
    assert abs(level(output, low=50, high=hertz / 2) - level(audio, low=50, high=hertz / 2)) < 0.1
    assert level(output, low=1.5 * hertz, high=11000) < level(audio, low=1.5 * hertz, high=11000) - 40


@settings(deadline=None, max_examples=15)
@given(hertz=st.floats(200, 1200))
def test_a_high_pass_does_the_opposite(hertz):
    audio = white(1)
    output = apply_filter(audio, hertz, high_pass=True)
    assert abs(level(output, low=1.5 * hertz, high=11000) - level(audio, low=1.5 * hertz, high=11000)) < 0.1
    assert level(output, low=20, high=hertz / 2) < level(audio, low=20, high=hertz / 2) - 30


def test_half_the_amplitude_passes_at_the_cutoff():
    audio = tones([3000.0])
    for high_pass in (False, True):
        output = apply_filter(audio, 3000, high_pass=high_pass)[:, 3000:-3000]
        torch.testing.assert_close(output, audio[:, 3000:-3000] / 2, rtol=0, atol=0.01)


def test_low_and_high_pass_add_up_to_the_audio_without_delay():
    audio = white(1)
    both = apply_filter(audio, 800, high_pass=False) + apply_filter(audio, 800, high_pass=True)
    torch.testing.assert_close(both, audio, rtol=0, atol=1e-6)


def test_constant_audio_stays_constant_to_its_ends():
    audio = torch.full((1, 4000), 0.3)
    torch.testing.assert_close(apply_filter(audio, 300, high_pass=False), audio, rtol=0, atol=1e-5)
    torch.testing.assert_close(apply_filter(audio, 300, high_pass=True), 0 * audio, rtol=0, atol=1e-5)


def test_each_example_has_its_own_filter():
    audio = white(3)
    cutoffs = torch.tensor([200, 2200, 4000], dtype=torch.float64) / RATE
    high_pass = torch.tensor([True, False, False])
    together = apply_filters(audio, cutoffs=cutoffs, high_pass=high_pass)
    for row in range(3):
        one = slice(row, row + 1)
        alone = apply_filters(audio[one], cutoffs=cutoffs[one], high_pass=high_pass[one])
        torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-6)
