"""Sinc convolution: band-pass filters whose only parameters are their edges in Hz."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

MIN_START_HZ = 30.0  # low edge of the first filter at the start
TOP_GAP_HZ = 100.0  # the last filter starts this far below half the sample rate


class SincConvolution(nn.Module):
    """Convolution with learned band-pass filters (Ravanelli and Bengio 2018; class `SincConv_fast` of the PASE code).

    Keys are the official ones: `low_hz_` and `band_hz_`, both (filters, 1) in Hz. Everything else is rebuilt from them.
    """

    window: Tensor
    radians_per_hz: Tensor

    def __init__(
        self,
        *,
        filters: int,
        kernel: int = 251,
        sample_rate: int = 16000,
        lowest_hz: float = 50.0,
        narrowest_hz: float = 50.0,
    ) -> None:
        """Build the layer; `lowest_hz` and `narrowest_hz` bound every filter's low edge and bandwidth from below."""
        super().__init__()
        assert kernel % 2 == 1, "the filters are symmetric, so the kernel must be odd"
        self.kernel, self.sample_rate = kernel, sample_rate
        self.lowest_hz, self.narrowest_hz = lowest_hz, narrowest_hz
        edges = _space_in_mel(MIN_START_HZ, sample_rate / 2 - TOP_GAP_HZ, filters + 1)
        self.low_hz_ = nn.Parameter(torch.tensor(edges[:-1], dtype=torch.float32)[:, None])
        self.band_hz_ = nn.Parameter(torch.tensor(np.diff(edges), dtype=torch.float32)[:, None])
        half = kernel // 2
        # the official half Hamming window: its period is the kernel's length, its last point lies before the centre
        steps = torch.linspace(0, kernel / 2 - 1, half)
        self.register_buffer("window", 0.54 - 0.46 * torch.cos(2 * math.pi * steps / kernel), persistent=False)
        left = torch.arange(-half, 0, dtype=torch.float32)[None]
        self.register_buffer("radians_per_hz", 2 * math.pi * left / sample_rate, persistent=False)

    def filters(self) -> Tensor:
        """Compute impulse responses (filters, 1, kernel), each scaled to 1 at its centre."""
        # band edges in Hz
        low = self.lowest_hz + self.low_hz_.abs()
        high = torch.clamp(low + self.narrowest_hz + self.band_hz_.abs(), self.lowest_hz, self.sample_rate / 2)
        # left half of the difference of two low passes, under the window
        twice_band = 2 * (high - low)
        rising = torch.sin(high * self.radians_per_hz) - torch.sin(low * self.radians_per_hz)
        left = rising / (self.radians_per_hz / 2) * self.window
        # mirrored around the centre, and scaled
        whole = torch.cat([left, twice_band, left.flip(-1)], dim=-1) / twice_band
        return whole[:, None]

    def forward(self, audio: Tensor) -> Tensor:
        """Filter audio (batch, 1, samples) to (batch, filters, samples); edges are reflected.

        Runs in float32 under autocast too: bf16's eight bits would add audible noise and move the band edges.
        """
        with torch.autocast(audio.device.type, enabled=False):
            half = self.kernel // 2
            padded = functional.pad(audio.to(self.low_hz_.dtype), (half, half), mode="reflect")
            return functional.conv1d(padded, self.filters())


def _space_in_mel(low_hz: float, high_hz: float, points: int) -> np.ndarray:
    """Return frequencies in Hz, equally spaced on the scale mel = 2595 log10(1 + f / 700)."""
    mel = np.linspace(2595 * np.log10(1 + low_hz / 700), 2595 * np.log10(1 + high_hz / 700), points)
    return 700 * (10 ** (mel / 2595) - 1)
