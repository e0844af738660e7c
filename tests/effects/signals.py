"""Signals and what is measured on them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RATE = 22050  # Hz
SAMPLES = 59049  # SampleCNN's window


def tones(frequencies: list[float], *, samples: int = SAMPLES, rate: int = RATE) -> Tensor:
    """One sine of amplitude 0.5 an example, float32 (examples, samples)."""
    time = torch.arange(samples, dtype=torch.float64) / rate
    return (0.5 * torch.sin(2 * math.pi * torch.tensor(frequencies, dtype=torch.float64)[:, None] * time)).float()


def white(examples: int, *, samples: int = SAMPLES, seed: int = 0) -> Tensor:
    """White noise of deviation 0.1."""
    return 0.1 * torch.randn(examples, samples, generator=torch.Generator().manual_seed(seed))


def frequency(audio: Tensor, *, rate: int = RATE) -> float:
    """Frequency in Hz of the strongest partial, from the peak of a parabola through the logarithmic spectrum."""
    window = torch.hann_window(len(audio), dtype=torch.float64)
    spectrum = torch.fft.rfft(audio.double() * window).abs().log()
    peak = int(spectrum.argmax())
    left, middle, right = spectrum[peak - 1 : peak + 2].tolist()
    return (peak + (left - right) / (2 * (left - 2 * middle + right))) * rate / len(audio)


def level(audio: Tensor, *, low: float, high: float, rate: int = RATE) -> Tensor:
    """Power in dB between two frequencies, of each example."""
    power = torch.fft.rfft(audio.double()).abs().square()
    hertz = torch.arange(power.shape[-1]) * rate / audio.shape[-1]
    return 10 * power[..., (hertz >= low) & (hertz < high)].mean(dim=-1).log10()


def decay_seconds(response: Tensor, *, rate: int = RATE) -> float:
    """Reverberation time T60 of an impulse response: Schroeder's integral from -5 to -35 dB, doubled to 60 dB."""
    curve = response.double().square().flip(0).cumsum(0).flip(0)
    decibels = 10 * (curve / curve[0]).log10()
    first, last = (int((decibels <= limit).nonzero()[0]) for limit in (-5, -35))
    return 2 * (last - first) / rate
