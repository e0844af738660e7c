"""Precision of features: which operations are computed in float64, and what float32 would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.features import signals
from tests.features.signals import RATE
from workflow_scripts.features import prosody, rhythm, spectral
from workflow_scripts.features.frames import HOP

SAMPLES = 2 * RATE


class Float64Counter(TorchDispatchMode):
    """Counts the values that operations compute in float64 or complex128, by operation."""

    def __init__(self) -> None:
        super().__init__()
        self.values: Counter[str] = Counter()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype in (torch.float64, torch.complex128) and not operation.is_view:
            self.values[operation.overloadpacket.__name__] += result.numel()
        return result


def count_float64(function: Callable[[Tensor], object]) -> Counter[str]:
    audio = torch.from_numpy(signals.notes(SAMPLES))[None]
    function(audio)  # windows and filters are built once
    with Float64Counter() as counter:
        function(audio)
    return counter.values


POWER = spectral.power_spectrum(torch.from_numpy(signals.notes(SAMPLES))[None])
FROM_POWER: dict[str, Callable[[Tensor], object]] = {
    "lps": lambda _: spectral.log_power_spectrum(power=POWER),
    "mel": lambda _: spectral.log_mel_spectrum(power=POWER, sample_rate=RATE),
    "mfcc": lambda _: spectral.mfcc(power=POWER, sample_rate=RATE),
    "tempogram": lambda _: rhythm.tempogram(power=POWER, sample_rate=RATE),
    "zero crossings": prosody.zero_crossing_rate,
    "energy": prosody.root_mean_square,
}


def test_the_spectrum_computes_one_transform_of_each_frame_in_float64() -> None:
    """As docs/performance.md counts: the windows and their half spectra, and nothing else."""
    frames = 1 + SAMPLES // HOP
    counted = count_float64(spectral.power_spectrum)
    assert counted["_fft_r2c"] == frames * 1025
    assert counted["mul"] == frames * 2048
    assert set(counted) <= {"_fft_r2c", "mul", "_to_copy", "constant_pad_nd", "fill_", "copy_", "empty"}


@pytest.mark.parametrize("name", FROM_POWER)
def test_features_of_a_spectrum_compute_in_float32(name: str) -> None:
    assert sum(count_float64(FROM_POWER[name]).values()) == 0


def in_float32(function: Callable[[], Tensor], monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Compute with the float type that a device without float64 has."""
    with monkeypatch.context() as patch:
        patch.setattr(spectral, "widest_float", lambda device: torch.float32)
        spectral._build_window.cache_clear()
        try:
            return function()
        finally:
            spectral._build_window.cache_clear()


@pytest.mark.parametrize("name", ["notes", "tone", "noise"])
def test_float32_would_change_bins_far_below_the_loudest_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = torch.from_numpy(getattr(signals, name)(SAMPLES))
    exact = spectral.power_spectrum(audio)
    single = in_float32(lambda: spectral.power_spectrum(audio), monkeypatch)
    below = 10 * torch.log10(exact / exact.amax(dim=-2, keepdim=True))  # dB, of each frame's loudest bin
    deviation = 10 * (torch.log10(single + spectral.FLOOR) - torch.log10(exact + spectral.FLOOR)).abs()
    assert deviation[below > -100].max() < 0.03
    # tones have empty bins, which then hold the transform's rounding; noise has none
    assert (deviation.max() > 1) == (name != "noise")


@pytest.mark.parametrize("name", ["notes", "tone", "noise"])
def test_float32_would_change_cepstra_and_tempograms_in_the_fourth_digit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = torch.from_numpy(getattr(signals, name)(SAMPLES))
    exact = spectral.power_spectrum(audio)
    single = in_float32(lambda: spectral.power_spectrum(audio), monkeypatch)
    for feature in (spectral.mfcc, rhythm.tempogram):
        torch.testing.assert_close(
            feature(power=single, sample_rate=RATE), feature(power=exact, sample_rate=RATE), rtol=0, atol=5e-4
        )
