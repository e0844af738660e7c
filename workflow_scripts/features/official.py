"""Log power spectrum, MFCC and prosody as the PASE code computes them (`pase/transforms.py`, for torch 1.0 and librosa
0.6), instead of as Wu et al. describe them.

Windows are shorter (25 and 20 ms), spectra see the audio mirrored beyond its ends, and floor and prosody differ. Audio
and features have the shapes of `spectral` and `prosody`: 1 + samples // 160 frames, of which the PASE code drops the
last one.
"""

from __future__ import annotations

import librosa
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.features import spectral
from workflow_scripts.features.frames import HOP, N_FFT
from workflow_scripts.features.pitch import pyin
from workflow_scripts.features.precision import widest_float, without_autocast
from workflow_scripts.features.prosody import root_mean_square, zero_crossing_rate

WINDOW = 400  # samples: 25 ms at 16 kHz
PROSODY_WINDOW = 320  # samples: 20 ms at 16 kHz
FLOOR = 1e-19  # power, an addend
PROSODY_CHANNELS = ("log fundamental frequency", "voiced", "root mean square energy", "zero crossing rate")


@without_autocast
def log_power_spectrum(audio: Tensor) -> Tensor:
    """Power in decibels, 10 log10(power + 1e-19), (..., 1025, frames), of 400 samples in a transform of 2048 points.

    The PASE code gives `torch.stft` no window, so nothing tapers the 400 samples.
    """
    power = _power_of_mirrored(audio, window=torch.ones(WINDOW), points=N_FFT)
    return power.add_(FLOOR).log10_().mul_(10)


@without_autocast
def mfcc(audio: Tensor, *, sample_rate: int) -> Tensor:
    """`librosa.feature.mfcc` with Hann windows and transforms of 400 samples, (..., 20, frames), as in workers.cfg."""
    window = torch.from_numpy(librosa.filters.get_window("hann", WINDOW))
    return spectral.mfcc(sample_rate=sample_rate, power=_power_of_mirrored(audio, window=window, points=WINDOW))


def prosody(audio: np.ndarray, *, sample_rate: int, lowest_hz: float, highest_hz: float) -> np.ndarray:
    """Prosody of a clip (samples,): float32 (4, 1 + samples // 160) in the order of `PROSODY_CHANNELS`.

    The logarithm of F0 in hertz is interpolated between voiced frames and constant beyond them; a clip without any has
    that of `lowest_hz`. The voiced flag is 1 or 0. Pitch is followed by pYIN, with its windows of 2048: SWIPE, which
    the PASE code takes from SPTK, is not in librosa. So the two pitch channels have that code's form, not its values.
    Raises as `features.prosody.targets`.
    """
    frequency, voiced, _ = pyin(audio, sample_rate=sample_rate, lowest_hz=lowest_hz, highest_hz=highest_hz)
    # the code's helper begins a gap at the last voiced frame before it
    flag = voiced & np.append(voiced[1:], True)
    if flag.any():
        followed = np.interp(np.arange(len(voiced)), np.flatnonzero(voiced), np.log(frequency[voiced]))
    else:
        followed = np.full(len(voiced), np.log(lowest_hz))
    samples = torch.from_numpy(np.array(audio, np.float32))
    energy = root_mean_square(samples, window=PROSODY_WINDOW).numpy()
    crossings = zero_crossing_rate(samples, window=PROSODY_WINDOW).numpy()
    return np.concatenate([[followed], [flag], energy, crossings], dtype=np.float32)


def _power_of_mirrored(audio: Tensor, *, window: Tensor, points: int) -> Tensor:
    """Squared magnitudes (..., 1 + points // 2, frames) of windows centred on every hop, audio mirrored at its ends.

    Where a window stands in a longer transform changes phases only, so no more is mirrored than the window holds.
    """
    flat = _mirror_ends(audio.reshape(-1, audio.shape[-1]).to(widest_float(audio.device)), margin=len(window) // 2)
    windows = flat.unfold(-1, len(window), HOP)
    power = spectral.power_of_windows(windows, window=window.to(windows), points=points)
    return power.reshape(*audio.shape[:-1], *power.shape[-2:]).mT


def _mirror_ends(audio: Tensor, *, margin: int) -> Tensor:
    """Audio (items, samples) continued by `margin` mirrored samples on both sides, as often as it takes."""
    samples = audio.shape[-1]
    if samples > margin:
        return F.pad(audio, (margin, margin), mode="reflect")
    return audio[:, torch.from_numpy(np.pad(np.arange(samples), margin, mode="reflect")).to(audio.device)]
