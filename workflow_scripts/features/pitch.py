"""Fundamental frequency by pYIN: the result of `librosa.pyin` 0.11 with its defaults, in a fraction of the time.

Method: M. Mauch, S. Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold distributions",
ICASSP 2014. librosa spends most of its time in Viterbi decoding of a hidden Markov model over all pairs of about 1,200
states. Its transition matrix is a band (a pitch moves at most two semitones a frame) and one tiny constant elsewhere,
so the best predecessor is the best of the band or the best of all. This is exact: adding the constant keeps the order
of the values, also in floating point. The forward pass keeps only values; the backward pass searches the predecessor of
the one visited state among all states in ascending order, which repeats librosa's choice between equals. Everything
else is computed in librosa's types and order of operations, so that each rounding is the same.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import librosa
import numpy as np
from numba import njit
from scipy.stats import beta, boltzmann

from workflow_scripts.core.errors import UserError
from workflow_scripts.features.frames import HOP, N_FFT

# librosa's defaults.
THRESHOLDS = 100
THRESHOLD_BETA = (2, 18)  # parameters of the prior over thresholds, mean 0.1
TROUGH_BOLTZMANN = 2  # parameter of the prior over troughs, which prefers earlier ones
STEPS_PER_SEMITONE = 10
OCTAVES_PER_SECOND = 35.92  # fastest change of pitch
SWITCH_PROBABILITY = 0.01  # between voiced and unvoiced, per frame
NO_TROUGH_PROBABILITY = 0.01

FRAMES_AT_ONCE = 512  # take about 20 MB; spectra and priors of a whole song would fill the memory
TINY = float(np.finfo(np.float64).tiny)  # added by librosa before a logarithm or a division

# cache: compiling takes seconds, which every extracting process would spend. Numba stores the result beside this file,
# or in the user's cache folder if that is read-only. error_model: a division by zero is an infinity, as in NumPy.
_compile = functools.partial(njit, cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """Hidden Markov model and priors, which depend only on the sample rate and the range of pitches."""

    sample_rate: int
    lowest_hz: float
    first_period: int  # samples
    last_period: int
    pitches: np.ndarray  # Hz, (pitches,)
    thresholds: np.ndarray  # (THRESHOLDS,)
    threshold_probability: np.ndarray  # (THRESHOLDS,)
    #: probability added to the lowest trough when it is above the first n thresholds, (THRESHOLDS + 1,)
    no_trough: np.ndarray
    trough_prior: np.ndarray  # Boltzmann prior, [position, number of troughs]
    band: np.ndarray  # log transition probability, [from same or other voicing, offset in the band, pitch]
    outside_band: float  # log probability of every other transition
    initial: float  # log probability of each state in the first frame


def pyin(
    audio: np.ndarray, *, sample_rate: int, lowest_hz: float, highest_hz: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Track the pitch of audio (samples,): F0 in Hz (NaN: unvoiced), voiced flag, voicing probability, each (frames,).

    Equals `librosa.pyin(audio, sr=sample_rate, fmin=lowest_hz, fmax=highest_hz, hop_length=160)` for float32 audio of
    any length from one sample. Raises `ValueError` for audio that is empty, not mono or not finite, `UserError` for a
    range of pitches that cannot be tracked.
    """
    audio = np.ascontiguousarray(audio, np.float32)
    if audio.ndim != 1 or not audio.size or not np.isfinite(audio).all():
        raise ValueError("pitch needs one channel of finite samples, at least one")
    model = _build_model(sample_rate, lowest_hz, highest_hz)
    # stage 1 of the method: pitch candidates of each frame and their probabilities, in parts that fit the memory
    padded = np.pad(audio, N_FFT // 2)
    frames = librosa.util.frame(padded, frame_length=N_FFT, hop_length=HOP, axis=0)
    parts = [
        _compute_observations(_compute_normalised_difference(frames[start : start + FRAMES_AT_ONCE], model), model)
        for start in range(0, len(frames), FRAMES_AT_ONCE)
    ]
    voiced, probability = (np.concatenate(values) for values in zip(*parts, strict=True))
    # stage 2: most likely path through the hidden Markov model
    unvoiced = (1 - probability) / len(model.pitches)
    states = _decode_viterbi(
        np.log(voiced + TINY), np.log(unvoiced + TINY), model.band, model.outside_band, model.initial
    )
    is_voiced = states < len(model.pitches)
    frequency = np.where(is_voiced, model.pitches[states % len(model.pitches)], np.nan)
    return frequency, is_voiced, probability


@functools.lru_cache(maxsize=4)
def _build_model(sample_rate: int, lowest_hz: float, highest_hz: float) -> _Model:
    if not 0 < lowest_hz < highest_hz <= sample_rate / 2:
        raise UserError(
            f"pitch range {lowest_hz} to {highest_hz} Hz: must rise and lie between 0 and {sample_rate / 2} Hz"
        )
    if sample_rate / lowest_hz >= N_FFT - 1:
        raise UserError(
            f"lowest pitch {lowest_hz} Hz: must be above {sample_rate / (N_FFT - 1):.2f} Hz, one period in a window"
        )
    steps = 12 * STEPS_PER_SEMITONE
    pitches = int(np.floor(steps * np.log2(highest_hz / lowest_hz))) + 1
    width = round(OCTAVES_PER_SECOND * 12 * HOP / sample_rate) * STEPS_PER_SEMITONE + 1
    if pitches < width:
        raise UserError(
            f"pitch range {lowest_hz} to {highest_hz} Hz: must span at least {width / STEPS_PER_SEMITONE} semitones"
        )
    # transitions: a triangle over pitches, and a switch between voiced and unvoiced
    glide = librosa.sequence.transition_local(pitches, width, window="triangle", wrap=False)
    voicing = librosa.sequence.transition_loop(2, 1 - SWITCH_PROBABILITY)
    # prior over thresholds: the beta distribution in THRESHOLDS steps
    cumulative = beta.cdf(np.linspace(0, 1, THRESHOLDS + 1), *THRESHOLD_BETA)
    probability = np.diff(cumulative)
    # prior over the troughs of a frame: Boltzmann
    first, last = int(np.floor(sample_rate / highest_hz)), min(int(np.ceil(sample_rate / lowest_hz)), N_FFT - 1)
    count = np.arange((last - first + 1) // 2 + 2)  # of troughs: at most every other period
    with np.errstate(divide="ignore", invalid="ignore"):
        prior = boltzmann.pmf(count[:, None], TROUGH_BOLTZMANN, count)
    return _Model(
        sample_rate=sample_rate,
        lowest_hz=lowest_hz,
        first_period=first,
        last_period=last,
        pitches=lowest_hz * 2 ** (np.arange(pitches) / steps),
        thresholds=np.linspace(0, 1, THRESHOLDS + 1)[1:],
        threshold_probability=probability,
        no_trough=NO_TROUGH_PROBABILITY * np.array([np.sum(probability[:n]) for n in range(THRESHOLDS + 1)]),
        trough_prior=prior,
        band=np.stack([_take_log_band(voicing[0, other] * glide, width) for other in (0, 1)]),
        outside_band=float(np.log(TINY)),
        initial=float(np.log(1 / (2 * pitches) + TINY)),
    )


def _take_log_band(transition: np.ndarray, width: int) -> np.ndarray:
    """Take logarithms of the band of a transition matrix [from, to]: [offset of `from` in the band, to].

    Entries outside the matrix are minus infinity.
    """
    states = len(transition)
    source = np.arange(width)[:, None] - width // 2 + np.arange(states)
    inside = (source >= 0) & (source < states)
    band = transition[np.where(inside, source, 0), np.arange(states)]
    return np.where(inside, np.log(band + TINY), -np.inf)


def _compute_normalised_difference(frames: np.ndarray, model: _Model) -> np.ndarray:
    """Compute YIN's cumulative mean normalised difference of each frame, float64 (frames, periods)."""
    correlation = librosa.autocorrelate(frames, max_size=model.last_period + 1, axis=-1)
    return _accumulate_difference(frames, correlation, model.first_period)


def _compute_observations(difference: np.ndarray, model: _Model) -> tuple[np.ndarray, np.ndarray]:
    """Compute the probability of each pitch, (frames, pitches), and their sum, the voicing probability, (frames,)."""
    # candidate periods: troughs of the difference function
    starts, troughs = _find_troughs(difference)
    frame = np.repeat(np.arange(len(difference)), np.diff(starts))
    heights = difference[frame, troughs]
    # probability of each trough: its prior under each threshold, weighted by the probability of the threshold
    priors, bonus = _compute_trough_priors(heights, starts, model.thresholds, model.trough_prior, model.no_trough)
    probabilities = np.empty(len(troughs))
    for start, end in itertools.pairwise(starts):
        if end > start:  # one product per frame, as in librosa: a larger one may round differently
            np.dot(priors[start:end], model.threshold_probability, out=probabilities[start:end])
    probabilities += bonus
    # pitch of each trough, refined by a parabola and rounded to the grid of pitches
    period = model.first_period + troughs + _interpolate_parabolas(difference, frame, troughs)
    steps = 12 * STEPS_PER_SEMITONE * np.log2(model.sample_rate / period / model.lowest_hz)
    pitch = np.clip(np.round(steps), 0, len(model.pitches)).astype(np.int64)
    return _sum_by_pitch(frame, pitch, probabilities, len(difference), len(model.pitches))


@_compile()
def _accumulate_difference(
    frames: np.ndarray, correlation: np.ndarray, first_period: int
) -> np.ndarray:  # pragma: no cover
    """Compute the cumulative mean normalised difference (de Cheveigné and Kawahara 2002, eq. 8) as librosa rounds it.

    Sums and differences are float32, means and quotients float64, as NumPy's promotion gives in librosa.
    """
    last_period = correlation.shape[1] - 1
    result = np.empty((len(frames), last_period - first_period + 1))
    for t in range(len(frames)):
        energy, total = np.float32(0), np.float32(0)
        for period in range(1, last_period + 1):
            energy += frames[t, period - 1] * frames[t, period - 1]
            # librosa leaves the first sample out of the first difference
            left_out = energy if period > 1 else np.float32(0)
            value = np.float32(2) * (correlation[t, 0] - correlation[t, period]) - left_out
            total += value
            if period >= first_period:
                result[t, period - first_period] = value / (np.float64(total) / period + TINY)
    return result


@_compile()
def _find_troughs(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover
    """Find the local minima: position of each frame's first, (frames + 1,), and their indices, (troughs,)."""
    frames, periods = difference.shape
    starts = np.zeros(frames + 1, np.int64)
    troughs = np.empty(frames * (periods // 2 + 1), np.int64)
    count = 0
    for t in range(frames):
        row = difference[t]
        for i in range(periods):
            before = row[i] < row[i - 1] if i else row[0] < row[1]
            after = row[i] <= row[i + 1] if 0 < i < periods - 1 else True
            if before and after:
                troughs[count] = i
                count += 1
        starts[t + 1] = count
    return starts, troughs[:count].copy()


@_compile()
def _compute_trough_priors(
    heights: np.ndarray, starts: np.ndarray, thresholds: np.ndarray, prior: np.ndarray, no_trough: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover
    """Compute the prior of each trough under each threshold, (troughs, thresholds), and its bonus, (troughs,).

    The bonus of a frame's lowest trough is a share of the probability of all thresholds that no trough is below.
    """
    result = np.zeros((len(heights), len(thresholds)))
    bonus = np.zeros(len(heights))
    for t in range(len(starts) - 1):
        first, end = starts[t], starts[t + 1]
        if first == end:
            continue
        for n in range(len(thresholds)):
            below = 0
            for i in range(first, end):
                below += heights[i] < thresholds[n]
            position = 0
            for i in range(first, end):
                if heights[i] < thresholds[n]:
                    result[i, n] = prior[position, below]
                    position += 1
        lowest = first + np.argmin(heights[first:end])
        bonus[lowest] = no_trough[np.sum(~(heights[lowest] < thresholds))]
    return result, bonus


def _interpolate_parabolas(difference: np.ndarray, frame: np.ndarray, trough: np.ndarray) -> np.ndarray:
    """Compute the offset of each trough's minimum by a parabola through its neighbours.

    The offset is 0 at the ends and where the minimum would be beyond the neighbours.
    """
    last = difference.shape[1] - 1
    here = difference[frame, trough]
    left, right = difference[frame, np.maximum(trough - 1, 0)], difference[frame, np.minimum(trough + 1, last)]
    curvature, slope = right + left - 2 * here, (right - left) / 2
    flat = (np.abs(slope) >= np.abs(curvature)) | (trough == 0) | (trough == last)
    return np.where(flat, 0, -slope / np.where(flat, 1, curvature))


@_compile()
def _sum_by_pitch(
    frame: np.ndarray, pitch: np.ndarray, probability: np.ndarray, frames: int, pitches: int
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover
    """Arrange candidates by pitch, (frames, pitches), and sum them per frame, (frames,).

    Of two candidates at one pitch the longer period is kept; candidates above the range are dropped.
    """
    result = np.zeros((frames, pitches))
    for i in range(len(frame)):
        if pitch[i] < pitches and probability[i] != 0:
            result[frame[i], pitch[i]] = probability[i]
    total = np.zeros(frames)
    for t in range(frames):
        for j in range(pitches):
            total[t] += result[t, j]
        total[t] = min(max(total[t], 0), 1)
    return result, total


@_compile()
def _decode_viterbi(
    log_voiced: np.ndarray, log_unvoiced: np.ndarray, band: np.ndarray, outside_band: float, initial: float
) -> np.ndarray:  # pragma: no cover
    """Find the most likely states (frames,) by the Viterbi algorithm: pitch j voiced is j, unvoiced is pitches + j.

    Observations are log_voiced (frames, pitches) and log_unvoiced (frames,); transitions are as in `_Model`.
    """
    frames, pitches = log_voiced.shape
    stay, switch = band[0], band[1]
    width = len(stay)
    half = width // 2
    # initialisation: log probability of each state in the first frame
    values = np.empty((frames, 2, pitches))
    values[0, 0] = log_voiced[0] + initial
    values[0, 1] = log_unvoiced[0] + initial
    padded = np.full((2, pitches + 2 * half), -np.inf)
    # forward pass: best log probability of each state, by the best predecessor in the band or the best of all
    for t in range(1, frames):
        padded[:, half : half + pitches] = values[t - 1]
        best_of_all = values[t - 1].max() + outside_band
        for voicing in range(2):
            best, same, other = values[t, voicing], padded[voicing], padded[1 - voicing]
            best[:] = best_of_all
            for offset in range(width):
                for j in range(pitches):
                    value = max(same[j + offset] + stay[offset, j], other[j + offset] + switch[offset, j])
                    best[j] = max(best[j], value)
        values[t, 0] += log_voiced[t]
        values[t, 1] += log_unvoiced[t]
    # backward pass: from the best last state, the first among the best predecessors of the visited state
    states = np.empty(frames, np.int64)
    states[-1] = np.argmax(values[-1])
    for t in range(frames - 2, -1, -1):
        voicing, j = states[t + 1] // pitches, states[t + 1] % pitches
        scores = values[t] + outside_band
        for offset in range(width):
            source = j + offset - half
            if 0 <= source < pitches:
                scores[voicing, source] = values[t, voicing, source] + stay[offset, j]
                scores[1 - voicing, source] = values[t, 1 - voicing, source] + switch[offset, j]
        states[t] = np.argmax(scores)
    return states
