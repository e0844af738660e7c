"""Deltas equal librosa's."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.signals import DEVICES
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.deltas import append_deltas


def expected_deltas(features: np.ndarray, orders: int) -> np.ndarray:
    """Compute features and deltas with librosa."""
    deltas = [librosa.feature.delta(features, order=order) for order in range(1, orders + 1)]
    return np.concatenate([features, *deltas], axis=-2)


@given(
    channels=st.integers(1, 3),
    frames=st.integers(9, 40),
    orders=st.integers(0, 2),
    offset=st.sampled_from([0, -100, 1000]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=25)
def test_deltas_equal_librosas(channels: int, frames: int, orders: int, offset: float, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal((2, channels, frames)).astype(np.float32) + np.float32(offset)
    deltas = append_deltas(torch.from_numpy(values), orders=orders).numpy()
    assert deltas.dtype == np.float32
    np.testing.assert_allclose(deltas, expected_deltas(values, orders), rtol=1e-5, atol=1e-6 * (1 + abs(offset)))


@pytest.mark.parametrize("device", DEVICES)
def test_features_in_any_layout_stay_on_their_device(device: str) -> None:
    values = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).mT
    deltas = append_deltas(values.to(device), orders=2)
    assert deltas.device.type == device
    np.testing.assert_allclose(deltas.cpu().numpy(), expected_deltas(values.numpy(), 2), rtol=1e-4, atol=1e-6)


def test_deltas_of_a_parabola_are_its_slope_and_curvature() -> None:
    frame = torch.arange(20.0)
    deltas = append_deltas((3 * frame.square() + 5 * frame)[None], orders=2)
    torch.testing.assert_close(deltas[1, 4:-4], 6 * frame[4:-4] + 5, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(deltas[2], torch.full((20,), 6.0), rtol=1e-4, atol=1e-3)


def test_too_few_frames_for_deltas_are_refused() -> None:
    short = torch.ones(2, 8)
    assert append_deltas(short, orders=0) is short
    with pytest.raises(UserError, match="at least 9 frames, not 8"):
        append_deltas(short, orders=1)
