"""Measured qualities of sound are those of signals whose qualities are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from workflow_scripts.networks.sizes.sound_qualities import QUALITIES
from workflow_scripts.networks.sound_qualities import SoundQualities

RATE, SECONDS = 22050, 4
TIME = torch.arange(RATE * SECONDS) / RATE


def qualities(audio: Tensor) -> dict[str, float]:
    network = SoundQualities(sample_rate=RATE)
    with torch.no_grad():
        values = network.pool(network(audio[None]))[0]
    return dict(zip(QUALITIES, values.tolist(), strict=True))


def notes(*, every: float, attack: float) -> Tensor:
    """Notes of 440 Hz that rise over `attack` seconds and then decay."""
    audio = torch.zeros_like(TIME)
    for start in np.arange(0.3, SECONDS - 0.5, every):
        since = (TIME - start).clamp(min=0)
        envelope = torch.where(since < attack, since / attack, torch.exp(-4 * (since - attack)))
        audio += 0.3 * envelope * torch.sin(2 * np.pi * 440 * since)
    return audio


def test_level_and_centroid_of_a_tone_are_those_of_its_amplitude_and_frequency() -> None:
    loud, soft = (qualities(amplitude * torch.sin(2 * np.pi * 1000 * TIME)) for amplitude in (0.5, 0.05))
    assert loud["level"] == pytest.approx(10 * np.log10(0.5**2 / 2), abs=0.3)
    assert loud["level"] - soft["level"] == pytest.approx(20, abs=0.01)
    assert loud["spectral centroid"] == pytest.approx(1000, rel=0.05)


def test_noise_is_flat_and_a_tone_is_not() -> None:
    noise = qualities(0.1 * torch.randn(len(TIME), generator=torch.Generator().manual_seed(0)))
    assert noise["spectral flatness"] > 0.5
    assert qualities(0.1 * torch.sin(2 * np.pi * 440 * TIME))["spectral flatness"] < 0.01


def test_onsets_are_counted_and_slow_attacks_take_longer() -> None:
    fast, slow = qualities(notes(every=0.25, attack=0.01)), qualities(notes(every=1, attack=0.4))
    assert fast["onset rate"] == pytest.approx(13 / SECONDS, rel=0.2)
    assert slow["onset rate"] < fast["onset rate"]
    assert slow["attack time"] > fast["attack time"] + 0.1


def test_silence_and_damage_are_finite() -> None:
    for audio in (torch.zeros(RATE), torch.full((RATE,), torch.nan), torch.zeros(11025)):
        values = qualities(audio)
        assert np.isfinite(list(values.values())).all()
        assert (values["level"], values["onset rate"], values["attack time"]) == (-100, 0, 0)


def test_a_clip_does_not_depend_on_those_beside_it() -> None:
    network = SoundQualities(sample_rate=RATE)
    clips = torch.stack([notes(every=0.5, attack=0.01), 0.001 * torch.sin(2 * np.pi * 200 * TIME)])
    with torch.no_grad():
        together, alone = network.pool(network(clips)), network.pool(network(clips[1:]))
    torch.testing.assert_close(together[1:], alone)
