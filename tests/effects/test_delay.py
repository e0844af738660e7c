"""An echo comes when it should, as loud as it should."""

from __future__ import annotations

import torch

from tests.effects.signals import white
from workflow_scripts.effects.delay import add_echo


def test_a_click_occurs_twice():
    audio = torch.zeros(3, 1000)
    audio[:, 10] = 1
    output = add_echo(audio, delays=torch.tensor([200, 450, 200]), factor=0.5)
    expected = audio.clone()
    expected[[0, 1, 2], [210, 460, 210]] = 0.5
    assert torch.equal(output, expected)


def test_a_delay_longer_than_the_audio_changes_nothing():
    audio = white(2, samples=100)
    output = add_echo(audio, delays=torch.tensor([100, 5000]), factor=0.5)
    assert torch.equal(output, audio)
    assert output is not audio
