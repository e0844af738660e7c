"""Log power spectrum, MFCC and prosody as the PASE code computes them (`pase/transforms.py`, for torch 1.0 and librosa
0.6), instead of as Wu et al. describe them.

Windows are shorter (25 and 20 ms), the audio of spectra is mirrored beyond its ends, and floor and prosody differ.
Audio and features have the shapes of `spectral` and `prosody`: 1 + samples // 160 frames, of which the PASE code drops
the last.
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
FLOOR = 1e-19  # power, added before the logarithm


@without_autocast
def log_power_spectrum(audio: Tensor) -> Tensor:
    """Compute power in decibels, 10 log10(power + 1e-19), (..., 1025, frames): 400 samples, transforms of 2048 points.

    The PASE code passes no window to `torch.stft`, so the 400 samples are not tapered.
    """
    power = _compute_power(audio, window=torch.ones(WINDOW), points=N_FFT)
    return power.add_(FLOOR).log10_().mul_(10)


@without_autocast
def mfcc(audio: Tensor, *, sample_rate: int) -> Tensor:
    """Compute `librosa.feature.mfcc`, (..., 20, frames): Hann windows, 400-point transforms (workers.cfg)."""
    window = torch.from_numpy(librosa.filters.get_window("hann", WINDOW))
    return spectral.mfcc(sample_rate=sample_rate, power=_compute_power(audio, window=window, points=WINDOW))


def prosody(audio: np.ndarray, *, sample_rate: int, lowest_hz: float, highest_hz: float) -> np.ndarray:
    """Compute the prosody of a clip (samples,): float32 (4, 1 + samples // 160): F0, voiced, energy, crossings.

    The logarithm of F0 in hertz is interpolated between voiced frames and constant before the first and after the last;
    a clip without voiced frames has that of `lowest_hz`. The voiced flag is 1 or 0. Pitch is tracked by pYIN, with its
    windows of 2048, because SWIPE, which the PASE code takes from SPTK, is not in librosa. The two pitch channels
    therefore have the form of that code, not its values. Raises like `features.prosody.targets`.
    """
    frequency, voiced, _ = pyin(audio, sample_rate=sample_rate, lowest_hz=lowest_hz, highest_hz=highest_hz)
    # in the PASE code an unvoiced gap begins at the last voiced frame before it
    flag = voiced & np.append(voiced[1:], True)
    if flag.any():
        log_frequency = np.interp(np.arange(len(voiced)), np.flatnonzero(voiced), np.log(frequency[voiced]))
    else:
        log_frequency = np.full(len(voiced), np.log(lowest_hz))
    samples = torch.from_numpy(np.array(audio, np.float32))
    energy = root_mean_square(samples, window=PROSODY_WINDOW).numpy()
    crossings = zero_crossing_rate(samples, window=PROSODY_WINDOW).numpy()
    return np.concatenate([[log_frequency], [flag], energy, crossings], dtype=np.float32)


def _compute_power(audio: Tensor, *, window: Tensor, points: int) -> Tensor:
    """Compute squared magnitudes (..., 1 + points // 2, frames) of windows centred on every hop, with mirrored ends.

    The position of a window in a longer transform affects phases only, so mirroring half a window is enough.
    """
    flat = _mirror_ends(audio.reshape(-1, audio.shape[-1]).to(widest_float(audio.device)), margin=len(window) // 2)
    windows = flat.unfold(-1, len(window), HOP)
    power = spectral.compute_window_power(windows, window=window.to(windows), points=points)
    return power.reshape(*audio.shape[:-1], *power.shape[-2:]).mT


def _mirror_ends(audio: Tensor, *, margin: int) -> Tensor:
    """Extend audio (items, samples) by `margin` mirrored samples on both sides, mirroring repeatedly if it is short."""
    samples = audio.shape[-1]
    if samples > margin:
        return F.pad(audio, (margin, margin), mode="reflect")
    return audio[:, torch.from_numpy(np.pad(np.arange(samples), margin, mode="reflect")).to(audio.device)]
