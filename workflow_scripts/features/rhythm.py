"""Onset strength and tempogram of batches of audio, on any device, equal to librosa 0.11 (Wu et al. 3.2).

All functions take audio (..., samples) or its `spectral.power_spectrum` and return float32 (..., channels, frames) with
1 + samples // 160 frames. A tempogram window spans 3.84 s: in shorter crops every window includes padding, so stored
targets are better computed on whole clips. A window without onsets (an unchanging tone) contains only rounding noise,
which librosa scales to 1; so do these functions.
"""

from __future__ import annotations

import functools

import librosa
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.features import spectral
from workflow_scripts.features.frames import HOP, N_FFT
from workflow_scripts.features.precision import split_into_blocks, without_autocast

TEMPOGRAM_FRAMES = 384  # librosa's default window, and the number of lags
#: at least 2 * 384 - 1, so that the circular autocorrelation equals the linear one; 2**8 * 3 is fast
TRANSFORM_FRAMES = 768
ONSET_DELAY = 1 + N_FFT // (2 * HOP)  # frames: one for the difference, the others because windows are centred


@without_autocast
def onset_strength(audio: Tensor | None = None, *, sample_rate: int, power: Tensor | None = None) -> Tensor:
    """Compute `librosa.onset.onset_strength`, the mean rise of the log mel spectrum in decibels: (..., 1, frames).

    The first 7 frames are 0.
    """
    decibels = spectral.log_mel_spectrum(audio, sample_rate=sample_rate, power=power)
    rise = decibels.diff(dim=-1).clamp_(min=0).mean(-2, keepdim=True)
    return F.pad(rise, (ONSET_DELAY, 0))[..., : decibels.shape[-1]]


@without_autocast
def tempogram(audio: Tensor | None = None, *, sample_rate: int, power: Tensor | None = None) -> Tensor:
    """Compute `librosa.feature.tempogram`, the autocorrelation of the onset strength around each frame.

    The result is (..., 384 lags, frames); each frame has maximum 1 or is all 0.
    """
    onsets = onset_strength(audio, sample_rate=sample_rate, power=power).squeeze(-2)
    return local_autocorrelation(onsets)


@without_autocast
def local_autocorrelation(envelope: Tensor) -> Tensor:
    """Compute `librosa.feature.tempogram` of an envelope (..., frames): (..., 384, frames)."""
    frames = envelope.shape[-1]
    half = TEMPOGRAM_FRAMES // 2
    # continue the envelope to 0 over half a window at both ends, linearly as `np.pad(mode="linear_ramp")`
    ramp = torch.arange(half, device=envelope.device) / half
    padded = torch.cat([envelope[..., :1] * ramp, envelope, envelope[..., -1:] * ramp.flip(0)], dim=-1)
    windows = padded.reshape(-1, padded.shape[-1]).unfold(-1, TEMPOGRAM_FRAMES, 1)[:, :frames]
    result = torch.empty_like(windows, memory_format=torch.contiguous_format)
    window = _build_window(envelope.device)
    for block in split_into_blocks(*windows.shape[:2], device=envelope.device):
        # Wiener-Khinchin theorem: the autocorrelation is the inverse transform of the power spectrum
        spectrum = torch.fft.rfft(windows[block] * window, n=TRANSFORM_FRAMES)
        lags = torch.fft.irfft(spectrum * spectrum.conj(), n=TRANSFORM_FRAMES)[..., :TEMPOGRAM_FRAMES]
        # scale each frame to maximum 1, except where it is all 0
        largest = lags.abs().amax(-1, keepdim=True)
        torch.div(lags, torch.where(largest == 0, 1.0, largest), out=result[block])
    return result.reshape(*envelope.shape, TEMPOGRAM_FRAMES).mT


@functools.lru_cache
def _build_window(device: torch.device) -> Tensor:
    return torch.from_numpy(librosa.filters.get_window("hann", TEMPOGRAM_FRAMES)).to(device, torch.float32)
