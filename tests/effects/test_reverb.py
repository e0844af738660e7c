"""Rooms reverberate as long as their parameters say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.effects.signals import RATE, decay_seconds, white
from workflow_scripts.effects.filters import apply_filters
from workflow_scripts.effects.reverb import ALL_PASSES, COMBS, add_reverb, comb_feedback


def room(audio: Tensor, *, reverberance: float, damping: float = 0, room: float = 100, rate: int = RATE) -> Tensor:
    ones = torch.ones(len(audio))
    return add_reverb(
        audio, reverberance=reverberance * ones, damping=damping * ones, room=room * ones, sample_rate=rate
    )


def click(seconds: float, *, rate: int = RATE) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor([0]), int(seconds * rate)).float()


def recursive_response(*, feedback: float, dullness: float, size: float, samples: int) -> np.ndarray:
    """The network sample by sample, as textbooks draw it."""
    total = np.zeros(samples)
    for delay in (round(length * size) for length in COMBS):
        line, state = np.zeros(samples), 0.0
        for time in range(samples):
            delayed = line[time - delay] if time >= delay else 0.0
            state = (1 - dullness) * delayed + dullness * state
            line[time] = (time == 0) + feedback * state
            total[time] += delayed
    for delay in (round(length * size) for length in ALL_PASSES):
        line, passed = np.zeros(samples), np.zeros(samples)
        for time in range(samples):
            delayed = line[time - delay] if time >= delay else 0.0
            line[time] = total[time] + delayed / 2
            passed[time] = delayed - total[time]
        total = passed
    return 0.015 * total


def test_the_spectrum_is_that_of_the_recursive_network_even_where_it_rings_for_long():
    output = room(click(1.0, rate=16000), reverberance=95, damping=40, room=80, rate=16000)[0].double().numpy()
    feedback = float(comb_feedback(torch.tensor(95.0)))
    expected = recursive_response(feedback=feedback, dullness=0.32, size=0.82 * 16000 / 44100, samples=16000)
    expected[0] += 1
    assert np.abs(expected[1:]).max() > 0.01
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4)  # 40 dB below the strongest echo


def test_feedback_goes_from_low_to_high_with_losses_in_equal_ratios():
    result = comb_feedback(torch.tensor([0.0, 50.0, 100.0]))
    np.testing.assert_allclose(result, [0.3, 1 - (0.7 * 0.02) ** 0.5, 0.98])


@pytest.mark.parametrize("size", [30, 100])
@pytest.mark.parametrize("reverberance", [30, 60, 80])
def test_the_reverberation_time_is_that_of_the_combs(size, reverberance):
    response = room(click(8), reverberance=reverberance, room=size)[0, 1:]  # without the audio itself
    # one round takes a comb its delay and leaves `feedback` of the amplitude; 60 dB are a factor of 1000
    round_seconds = torch.tensor(COMBS).double().mean() * (0.1 + 0.9 * size / 100) / 44100
    rounds = -3 / comb_feedback(torch.tensor(float(reverberance))).log10()
    # even the least damping, 0.2, shortens the sum over all frequencies by a few per cent
    assert decay_seconds(response) == pytest.approx(float(rounds * round_seconds), rel=0.15)


def test_a_livelier_and_a_larger_room_ring_longer():
    short, lively, large = (
        decay_seconds(room(click(8), reverberance=reverberance, room=size)[0, 1:])
        for reverberance, size in ((30, 30), (60, 30), (30, 90))
    )
    assert min(lively, large) > 1.5 * short


def test_damping_takes_the_heights_first():
    sparkling, dull = (room(click(8), reverberance=70, damping=damping)[:, 1:] for damping in (0, 100))
    times = [
        [
            decay_seconds(apply_filters(response, cutoffs=torch.tensor([0.2]), high_pass=torch.tensor([high_pass]))[0])
            for high_pass in (False, True)
        ]
        for response in (sparkling, dull)
    ]
    (low, high), (dull_low, dull_high) = times
    assert dull_low == pytest.approx(low, rel=0.1)
    assert dull_high < 0.8 * high, times


def test_the_audio_is_unchanged_until_the_first_echo():
    audio = white(2)
    first = min(COMBS) // 2  # at half the rate of Freeverb's numbers, in a room of full size
    output = room(audio, reverberance=50)[:, :first]
    torch.testing.assert_close(output, audio[:, :first], rtol=0, atol=1e-4)  # 60 dB below noise of 0.1


def test_each_example_has_its_own_room():
    audio = white(3)
    names = ("reverberance", "damping", "room")
    given = {name: torch.tensor([0.0, 50.0, 100.0]).roll(shift) for shift, name in enumerate(names)}
    together = add_reverb(audio, **given, sample_rate=RATE)
    for row in range(3):
        alone = {name: values[row : row + 1] for name, values in given.items()}
        result = add_reverb(audio[row : row + 1], **alone, sample_rate=RATE)
        torch.testing.assert_close(together[row : row + 1], result, rtol=0, atol=1e-4)


def test_silence_stays_silent():
    assert not room(torch.zeros(1, 5000), reverberance=100).any()
