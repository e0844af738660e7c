"""Log power spectrum, MFCC and chroma of batches of audio, on any device, equal to librosa 0.11 (Wu et al. 3.2).

All functions take audio (..., samples), float32, at least one sample, and return float32 (..., channels, frames) with
1 + samples // 160 frames. All but `power_spectrum` also take its result as `power=` instead of audio, so that all
workers of a batch share one Fourier transform. Audio shorter than a window is padded with zeros like any other (librosa
does the same, with a warning). Non-finite audio gives non-finite features. Results may be transposed views. Matrix
products follow `torch.backends.cuda.matmul`: TF32 costs accuracy.
"""

from __future__ import annotations

import functools

import librosa
import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor
from torch.nn import functional as F
from torchaudio.functional import amplitude_to_DB

from workflow_scripts.features.frames import HOP, N_FFT
from workflow_scripts.features.precision import split_into_blocks, widest_float, without_autocast

MEL_BANDS = 128  # librosa's default
MEL_GROUPS = 4  # equal numbers of bands, see `_build_mel_filters`
MFCC_COEFFICIENTS = 20  # librosa's default
PITCH_CLASSES = 12
FLOOR = 1e-10  # power; librosa's `amin`. The paper does not state a floor for its log power spectrum
MEL_RANGE_DB = 80.0  # below each clip's maximum; librosa's default `top_db`

# tuning estimation: librosa's defaults
TUNING_STEPS = 100  # candidate tunings in a semitone: resolution 0.01
MIN_PEAK_HZ = 150.0
MAX_PEAK_HZ = 4000.0
PEAK_THRESHOLD = 0.1  # of the frame's maximum
LOWEST_A_HZ = 440.0 / 16  # octaves are counted from here


@without_autocast
def power_spectrum(audio: Tensor) -> Tensor:
    """Compute squared magnitudes of `librosa.stft`, (..., 1025, frames): Hann window of 2048, centred, zero-padded.

    The transform is computed in float64, as in librosa: in float32 it leaves noise 140 dB below the loudest bin, which
    is above the floor of the log spectrum. Raises `ValueError` for audio without samples.
    """
    if not audio.shape[-1]:
        raise ValueError("a spectrum needs at least one sample")
    flat = F.pad(audio.reshape(-1, audio.shape[-1]).to(widest_float(audio.device)), (N_FFT // 2, N_FFT // 2))
    power = compute_window_power(flat.unfold(-1, N_FFT, HOP), window=_build_window(audio.device), points=N_FFT)
    return power.reshape(*audio.shape[:-1], *power.shape[-2:]).mT


def compute_window_power(windows: Tensor, *, window: Tensor, points: int) -> Tensor:
    """Compute squared magnitudes (items, frames, 1 + points // 2), float32, of windows (items, frames, samples).

    Each window is multiplied by `window` (samples,), zero-padded to `points`, and transformed in its own precision.
    """
    power = torch.empty(*windows.shape[:2], 1 + points // 2, device=windows.device)
    for block in split_into_blocks(*windows.shape[:2], device=windows.device):
        spectrum = torch.fft.rfft(windows[block] * window, n=points).to(torch.complex64)
        torch.square(_compute_magnitude(spectrum), out=power[block])
    return power


@without_autocast
def log_power_spectrum(audio: Tensor | None = None, *, power: Tensor | None = None) -> Tensor:
    """Compute the power spectrum in decibels, 10 log10(power + 1e-10): (..., 1025, frames).

    Nothing is clipped relative to the maximum. The paper states neither scale nor floor: the floor is librosa's `amin`,
    added to the power as PASE's official code adds its own floor.
    """
    spectrum = _require_power(audio, power)
    decibels = torch.add(
        spectrum, FLOOR, out=spectrum if power is None else None
    )  # a shared spectrum is not overwritten
    return decibels.log10_().mul_(10)


@without_autocast
def log_mel_spectrum(audio: Tensor | None = None, *, sample_rate: int, power: Tensor | None = None) -> Tensor:
    """Compute `librosa.power_to_db(librosa.feature.melspectrogram(...))`: (..., 128, frames).

    Values are clipped 80 dB below each clip's own maximum. `power` may be of a transform of any length.
    """
    power = _require_power(audio, power)
    points = 2 * (power.shape[-2] - 1)
    bands = [power.mT[..., bins] @ filters for bins, filters in _build_mel_filters(sample_rate, points, power.device)]
    clips = torch.cat(bands, dim=-1).unsqueeze(-3)  # as one channel: the maximum is that of all channels of a clip
    return amplitude_to_DB(clips, multiplier=10, amin=FLOOR, db_multiplier=0, top_db=MEL_RANGE_DB).squeeze(-3).mT


@without_autocast
def mfcc(audio: Tensor | None = None, *, sample_rate: int, power: Tensor | None = None) -> Tensor:
    """Compute `librosa.feature.mfcc`, (..., 20, frames): the first 20 of the log mel spectrum's orthonormal DCT-II."""
    decibels = log_mel_spectrum(audio, sample_rate=sample_rate, power=power)
    return (decibels.mT @ _build_dct_matrix(decibels.device)).mT


@without_autocast
def chroma(audio: Tensor | None = None, *, sample_rate: int, power: Tensor | None = None) -> Tensor:
    """Compute `librosa.feature.chroma_stft`: (..., 12, frames), each frame of maximum 1 (silent frames 0).

    The filters are tuned to each clip separately.
    """
    power = _require_power(audio, power)
    flat = power.reshape(-1, *power.shape[-2:]).mT
    # estimate each clip's tuning
    steps = _estimate_tuning_step(flat, sample_rate=sample_rate).tolist()
    # apply the chroma filters of that tuning
    energy = flat @ torch.stack([_build_chroma_filters(sample_rate, step, power.device) for step in steps])
    # scale each frame to maximum 1, except silent ones
    loudest = energy.amax(-1, keepdim=True)
    energy /= torch.where(loudest < torch.finfo(loudest.dtype).tiny, 1.0, loudest)
    return energy.mT.reshape(*power.shape[:-2], PITCH_CLASSES, power.shape[-1])


def _compute_magnitude(spectrum: Tensor) -> Tensor:
    """Compute absolute values, on a CPU with NumPy, so that they equal librosa's to the last bit.

    A click has a flat spectrum: its peaks, to which the chroma filters are tuned, are only rounding errors.
    """
    return torch.from_numpy(np.abs(spectrum.numpy())) if spectrum.device.type == "cpu" else spectrum.abs()


def _require_power(audio: Tensor | None, power: Tensor | None) -> Tensor:
    if audio is not None and power is None:
        return power_spectrum(audio)
    if power is not None and audio is None:
        return power
    raise ValueError("give either audio or its power spectrum")


def _estimate_tuning_step(power: Tensor, *, sample_rate: int) -> Tensor:
    """Estimate an index into `_list_tunings` for each clip of power (clips, frames, bins): int64 (clips,).

    Equals `librosa.piptrack` and `pitch_tuning`. The result is the peak of a histogram and selects a filter bank, so
    every rounding of librosa that can move a count is repeated: float32 peaks, float64 parabola, float32 pitches.
    """
    clip, pitch, height = _find_peaks(power, sample_rate=sample_rate)
    # keep the peaks at least as high as the clip's median peak
    clips = len(power)
    loud = height >= _compute_medians(height, clip, groups=clips)[clip]
    # deviation of each pitch from the nearest semitone above 27.5 Hz
    wide = widest_float(power.device)
    octaves = (pitch[loud].to(wide) / LOWEST_A_HZ).float().to(wide).log2().float()
    residual = torch.remainder(octaves * PITCH_CLASSES, 1.0)
    residual = torch.where(residual >= 0.5, residual - 1, residual).to(wide)
    # histogram of deviations per clip, and its highest bin; residuals are below 0.5, where the last bin ends
    step = torch.searchsorted(_list_tunings(power.device), residual, right=True) - 1
    counts = torch.bincount(clip[loud] * TUNING_STEPS + step, minlength=clips * TUNING_STEPS).view(clips, TUNING_STEPS)
    return torch.where(counts.any(-1), counts.argmax(-1), TUNING_STEPS // 2)  # the middle step is tuning 0


def _find_peaks(power: Tensor, *, sample_rate: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the spectral peaks of power (clips, frames, bins) as `librosa.piptrack` does.

    Returns clip, pitch in Hz and height of each peak, (peaks,), in order of clips.
    """
    # bins between the lowest and the highest pitch
    frequencies = librosa.fft_frequencies(sr=sample_rate, n_fft=N_FFT)
    highest = min(MAX_PEAK_HZ, sample_rate / 2)
    allowed = np.flatnonzero((frequencies >= MIN_PEAK_HZ) & (frequencies < highest))
    first, end = int(allowed[0]), int(allowed[-1]) + 1
    bins = power.shape[-1]
    spectra = power.reshape(-1, bins)
    # peaks: local maxima above a share of the frame's maximum
    centre, before, after = (spectra[:, first + step : end + step] for step in (0, -1, 1))
    threshold = PEAK_THRESHOLD * spectra.amax(-1, keepdim=True)
    is_peak = (centre > threshold) & (centre > before) & (centre >= after)
    spectrum, bin_ = is_peak.nonzero(as_tuple=True)
    bin_ += first
    # parabola through each peak and its neighbours
    position = spectrum * bins + bin_
    values = spectra.flatten()
    left, here, right = values[position - 1], values[position], values[position + 1]
    wide = widest_float(power.device)
    curvature = (right + left).to(wide) - 2 * here.to(wide)
    slope = (right - left).to(wide) / 2
    shift = torch.where(slope.abs() >= curvature.abs(), 0.0, -slope / curvature).float()
    pitch = ((bin_ + shift.to(wide)) * float(sample_rate) / N_FFT).float()
    height = here + 0.5 * ((right - left) / 2) * shift
    return spectrum // power.shape[1], pitch, height


def _compute_medians(values: Tensor, group: Tensor, *, groups: int) -> Tensor:
    """Compute the median of the values of each group, (groups,).

    An even number of values gives the mean of the middle two, an empty group infinity. `group` is ascending. Selecting
    within each group is several times faster than sorting all values.
    """
    medians = values.new_full((groups,), torch.inf)
    for index, part in enumerate(values.split(torch.bincount(group, minlength=groups).tolist())):
        if len(part):
            low, high = (part.kthvalue(rank).values for rank in ((len(part) + 1) // 2, len(part) // 2 + 1))
            medians[index] = (low + high) / 2
    return medians


@functools.lru_cache
def _build_window(device: torch.device) -> Tensor:
    return torch.from_numpy(librosa.filters.get_window("hann", N_FFT)).to(device, widest_float(device))


@functools.lru_cache
def _build_mel_filters(sample_rate: int, points: int, device: torch.device) -> list[tuple[slice, Tensor]]:
    """Build Slaney's mel filters for a transform of `points`, in groups of neighbours.

    Returns the bins of each group and its weights (bins, bands). A filter is zero in nearly all bins, so four small
    products cost a third of one large product.
    """
    groups = []
    for weights in np.split(librosa.filters.mel(sr=sample_rate, n_fft=points, n_mels=MEL_BANDS), MEL_GROUPS):
        nonzero = np.flatnonzero(weights.any(axis=0))
        bins = slice(int(nonzero[0]), int(nonzero[-1]) + 1)
        groups.append((bins, torch.from_numpy(weights[:, bins].T.copy()).to(device)))
    return groups


@functools.lru_cache
def _build_dct_matrix(device: torch.device) -> Tensor:
    """Build the matrix of the orthonormal DCT-II, (128, 20)."""
    matrix = dct(np.eye(MEL_BANDS), axis=-1, norm="ortho")[:, :MFCC_COEFFICIENTS]
    return torch.from_numpy(matrix.astype(np.float32)).to(device)


@functools.lru_cache
def _list_tunings(device: torch.device) -> Tensor:
    """Compute the lower edges of the tuning histogram's bins in semitones, (100,)."""
    return torch.from_numpy(np.linspace(-0.5, 0.5, TUNING_STEPS + 1)[:-1]).to(device, widest_float(device))


@functools.lru_cache(maxsize=4 * TUNING_STEPS)
def _build_chroma_filters(sample_rate: int, step: int, device: torch.device) -> Tensor:
    """Build the chroma filters for a tuning, (1025, 12); this costs as much as the chroma of several clips."""
    tuned = float(_list_tunings(torch.device("cpu"))[step])
    return torch.from_numpy(librosa.filters.chroma(sr=sample_rate, n_fft=N_FFT, tuning=tuned).T.copy()).to(device)
