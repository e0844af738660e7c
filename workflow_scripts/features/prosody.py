"""Prosody, equal to librosa 0.11: zero-crossing rate, energy, F0 and its voicing probability (Wu et al. 3.2)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.features.frames import HOP, N_FFT, frame_count
from workflow_scripts.features.pitch import pyin
from workflow_scripts.features.precision import without_autocast

__all__ = ["CHANNELS", "pyin", "root_mean_square", "targets", "zero_crossing_rate"]

CHANNELS = ("zero crossing rate", "root mean square energy", "voicing probability", "fundamental frequency")
SILENT = 1e-10  # amplitudes up to this count as 0; librosa's default


@without_autocast
def zero_crossing_rate(audio: Tensor, *, window: int = N_FFT) -> Tensor:
    """Compute `librosa.feature.zero_crossing_rate` of audio (..., samples): (..., 1, frames), between 0 and 1.

    `window` is in samples; its first sample does not count. The clip's ends are continued, so padding adds no crossing.
    """
    negative = audio < -SILENT
    crossings = F.pad((negative[..., 1:] != negative[..., :-1]).float(), (1, 0))
    padded = F.pad(crossings, (window // 2, window // 2))
    first = padded[..., : frame_count(audio.shape[-1]) * HOP : HOP]
    return ((_sum_windows(padded, window=window) - first) / window).unsqueeze(-2)


@without_autocast
def root_mean_square(audio: Tensor, *, window: int = N_FFT) -> Tensor:
    """Compute `librosa.feature.rms` of audio (..., samples) with windows of `window` samples: (..., 1, frames)."""
    squares = F.pad(audio.float().square(), (window // 2, window // 2))
    return (_sum_windows(squares, window=window) / window).sqrt().unsqueeze(-2)


def targets(
    audio: np.ndarray,
    *,
    sample_rate: int,
    lowest_hz: float,
    highest_hz: float,
    pitch: Literal["log", "hertz"] = "log",
) -> np.ndarray:
    """Compute the prosody of a clip (samples,): float32 (4, 1 + samples // 160) in the paper's order, `CHANNELS`.

    F0 is the natural logarithm of hertz, or hertz; 0 where unvoiced. The logarithm is the default: the paper has "F0",
    "as used in" PASE, whose targets have the logarithm, and raw hertz would give errors of 10^5, above those of the log
    power spectrum, which dominates in the paper's Fig. 4. PASE interpolates over unvoiced frames; in music a whole clip
    can be unvoiced and an invented pitch would be learned, so unvoiced frames are 0, as the voicing channel shows.
    Raises `ValueError` for audio that is empty, not mono or not finite, `UserError` for a range of pitches that cannot
    be tracked.
    """
    frequency, voiced, probability = pyin(audio, sample_rate=sample_rate, lowest_hz=lowest_hz, highest_hz=highest_hz)
    hertz = np.where(voiced, frequency, 1.0)
    scaled = np.log(hertz) if pitch == "log" else np.where(voiced, hertz, 0.0)
    samples = torch.from_numpy(np.array(audio, np.float32))
    return np.concatenate(
        [zero_crossing_rate(samples).numpy(), root_mean_square(samples).numpy(), [probability], [scaled]],
        dtype=np.float32,
    )


def _sum_windows(padded: Tensor, *, window: int) -> Tensor:
    """Sum `padded` (..., samples + window) over windows every 160 samples: (..., frames).

    Sums over short blocks are computed once and shared by all windows that contain them.
    """
    block = math.gcd(HOP, window)
    whole = padded.shape[-1] // block * block
    blocks = padded[..., :whole].unflatten(-1, (-1, block)).sum(-1)
    return blocks.unfold(-1, window // block, HOP // block).sum(-1)
