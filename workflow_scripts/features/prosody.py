"""Prosody of audio, equal to librosa 0.11: zero-crossing rate, energy, and F0 with its voicing probability (Wu et al.
3.2).
"""

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
SILENT = 1e-10  # amplitudes up to this count as 0, librosa's default


@without_autocast
def zero_crossing_rate(audio: Tensor, *, window: int = N_FFT) -> Tensor:
    """`librosa.feature.zero_crossing_rate` with windows of `window` samples: audio (..., samples) to (..., 1, frames),
    between 0 and 1.

    A window's first sample does not count, and the clip's ends are continued, so padding makes no crossing.
    """
    negative = audio < -SILENT
    crossings = F.pad((negative[..., 1:] != negative[..., :-1]).float(), (1, 0))
    padded = F.pad(crossings, (window // 2, window // 2))
    first = padded[..., : frame_count(audio.shape[-1]) * HOP : HOP]
    return ((_sum_windows(padded, window=window) - first) / window).unsqueeze(-2)


@without_autocast
def root_mean_square(audio: Tensor, *, window: int = N_FFT) -> Tensor:
    """`librosa.feature.rms` with windows of `window` samples: audio (..., samples) to (..., 1, frames)."""
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
    """Prosody of a clip (samples,): float32 (4, 1 + samples // 160) in the order of `CHANNELS`, which is the paper's.

    F0 is the natural logarithm of hertz, or hertz; 0 where unvoiced. The paper says "F0", "as used in" PASE, whose
    targets have the logarithm. Raw hertz would also give errors of 10^5, above those of the log power spectrum, which
    dominates in the paper's Fig. 4: so the logarithm is the default. PASE interpolates over unvoiced frames; in music
    those can be the whole clip, where a made-up pitch would be learned, so they are 0, as the voicing channel tells.
    Raises `ValueError` for audio that is empty, not mono or not finite, `UserError` for a range of pitches that cannot
    be tracked.
    """
    frequency, voiced, probability = pyin(audio, sample_rate=sample_rate, lowest_hz=lowest_hz, highest_hz=highest_hz)
    heard = np.where(voiced, frequency, 1.0)
    scaled = np.log(heard) if pitch == "log" else np.where(voiced, heard, 0.0)
    samples = torch.from_numpy(np.array(audio, np.float32))
    return np.concatenate(
        [zero_crossing_rate(samples).numpy(), root_mean_square(samples).numpy(), [probability], [scaled]],
        dtype=np.float32,
    )


def _sum_windows(padded: Tensor, *, window: int) -> Tensor:
    """Sums over windows every 160 samples of padded (..., samples + window): (..., frames).

    Sums over short blocks are shared by all windows that hold them.
    """
    block = math.gcd(HOP, window)
    whole = padded.shape[-1] // block * block
    blocks = padded[..., :whole].unflatten(-1, (-1, block)).sum(-1)
    return blocks.unfold(-1, window // block, HOP // block).sum(-1)
