"""Transposed audio has the pitch asked for, its length and its tempo."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effects.signals import RATE, SAMPLES, frequency, level, tones, white
from workflow_scripts.effects.pitch import change_speed, shift_pitch


@settings(deadline=None, max_examples=25)
@given(cents=st.integers(-700, 700), hertz=st.floats(100, 2600), rate=st.sampled_from([8000, 16000, 22050]))
def test_the_pitch_is_within_ten_cents(cents, hertz, rate):
    audio = tones([hertz], samples=3 * rate, rate=rate)
    output = shift_pitch(audio, cents=torch.tensor([cents]), sample_rate=rate)
    assert output.shape == audio.shape
    shift = 1200 * math.log2(frequency(output[0], rate=rate) / hertz)
    assert shift == pytest.approx(cents, abs=10)


@pytest.mark.parametrize("cents", [-700, -301, 123, 700])
def test_a_tone_stays_a_tone_of_its_level(cents):
    output = shift_pitch(tones([440.0]), cents=torch.tensor([cents]), sample_rate=RATE)
    hertz = 440 * 2 ** (cents / 1200)
    inside = output[:, 2000:-4000]
    assert inside.std() == pytest.approx(0.5 / math.sqrt(2), rel=0.02)
    beside = max(level(inside, low=20, high=hertz * 0.9), level(inside, low=hertz * 1.1, high=11000))
    assert level(inside, low=hertz * 0.99, high=hertz * 1.01) > beside + 40


def test_a_chord_is_transposed_as_a_whole():
    chord = tones([220.0, 277.2, 329.6]).sum(dim=0, keepdim=True) / 3
    output = shift_pitch(chord, cents=torch.tensor([700]), sample_rate=RATE)
    ratio = 2 ** (700 / 1200)
    for hertz in (220.0, 277.2, 329.6):
        assert level(output, low=hertz * ratio - 4, high=hertz * ratio + 4) > level(output, low=600, high=11000) + 20


@pytest.mark.parametrize("cents", [-700, 700])
def test_events_stay_where_they_are(cents):
    audio = torch.zeros(1, SAMPLES)
    for place in (10000, 30000, 50000):
        audio[0, place : place + 2000] = tones([500.0], samples=2000)[0]
    output = shift_pitch(audio, cents=torch.tensor([cents]), sample_rate=RATE)
    loud = output[0].abs().unfold(0, 2000, 100).square().mean(dim=-1)
    for place in (10000, 30000, 50000):
        near = loud[place // 100 - 25 : place // 100 + 25]
        assert near.argmax() * 100 + place - 2500 == pytest.approx(place, abs=0.07 * RATE)  # at most a piece away
        assert near.max() > 0.5 * 0.125


def test_nothing_folds_back_when_played_faster():
    ratios = torch.tensor([2 ** (700 / 1200)])
    audio = tones([9000.0])
    output = change_speed(audio, ratios.double())
    assert output[:, 1000:-1000].std() < 0.002, "9 kHz would be at 13.5 kHz, above half the rate"


def test_playing_at_the_same_speed_changes_nothing():
    audio = tones([1000.0])
    torch.testing.assert_close(change_speed(audio, torch.ones(1, dtype=torch.float64)), audio, rtol=0, atol=1e-4)


def test_each_example_has_its_own_interval():
    audio, cents = white(3), torch.tensor([-700, 0, 700])
    together = shift_pitch(audio, cents=cents, sample_rate=RATE)
    for row in range(3):
        alone = shift_pitch(audio[row : row + 1], cents=cents[row : row + 1], sample_rate=RATE)
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 300, 3000])
def test_short_audio_keeps_its_length(samples):
    output = shift_pitch(white(2, samples=samples), cents=torch.tensor([-700, 700]), sample_rate=RATE)
    assert output.shape == (2, samples)
    assert output.isfinite().all()
