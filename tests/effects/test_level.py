"""Polarity, gain and noise."""

from __future__ import annotations

import pytest
import torch
import torchaudio

from tests.effects.signals import white
from workflow_scripts.effects.level import add_noise, change_gain, invert_polarity


def test_polarity_changes_the_sign_alone():
    audio = white(2)
    assert torch.equal(invert_polarity(audio), -audio)


def test_gain_is_in_decibels():
    audio = white(3)
    louder = change_gain(audio, decibels=torch.tensor([-20.0, 0.0, 6.0206]))
    torch.testing.assert_close(louder.std(dim=1) / audio.std(dim=1), torch.tensor([0.1, 1.0, 2.0]))


@pytest.mark.parametrize(
    ("sample", "decibels", "expected"), [(2.0, -1.0, 1.0), (-2.0, -1.0, -1.0), (2.0, -20.0, 0.2), (0.9, 6.0, 1.0)]
)
def test_a_gain_cuts_off_at_full_scale(sample, decibels, expected):
    audio = torch.full((1, 3), sample)
    output = change_gain(audio, decibels=torch.tensor([decibels]))
    torch.testing.assert_close(output, torch.full((1, 3), expected))
    torch.testing.assert_close(output, torchaudio.transforms.Vol(decibels, gain_type="db")(audio))
    assert torch.equal(audio, torch.full((1, 3), sample)), "the clean audio is changed"


def test_noise_has_the_requested_ratio_and_belongs_to_the_seed():
    audio = white(3)
    ratios = torch.tensor([0.01, 0.1, 0.01])
    noise = add_noise(audio, ratios=ratios, seeds=[1, 2, 3]) - audio
    torch.testing.assert_close(noise.std(dim=1) / audio.std(dim=1), ratios, rtol=0.02, atol=0)
    assert abs(torch.corrcoef(noise)[0, 2]) < 0.02
    alone = add_noise(audio[2:], ratios=ratios[2:], seeds=[3]) - audio[2:]
    torch.testing.assert_close(alone[0], noise[2])


def test_noise_at_40_db_is_40_db_down():
    audio = white(1)
    noise = add_noise(audio, ratios=torch.tensor([0.01]), seeds=[5]) - audio
    decibels = 10 * (audio.square().mean() / noise.square().mean()).log10()
    assert float(decibels) == pytest.approx(40, abs=0.1)


def test_silence_stays_silent():
    assert not add_noise(torch.zeros(1, 100), ratios=torch.tensor([0.01]), seeds=[0]).any()
