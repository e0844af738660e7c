"""Audio fingerprints: binary codes that are robust to pitch shifts, codecs, noise, gain and cropping.

The code of a frame consists of the signs of the low two-dimensional cosine coefficients of half a second of the
log-frequency spectrogram, the idea of Haitsma and Kalker (ISMIR 2002) with smoother filters. On a logarithmic frequency
axis a pitch shift is a displacement, so codes are also computed for the spectrogram moved up and down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

FRAMES_PER_SECOND = 32  # the frames of a cropped clip are at most 16 ms off, a sixteenth of the window
WINDOW_SECONDS = 0.256  # main lobe 16 Hz wide: semitones are resolved from 270 Hz on
MIN_HZ, OCTAVES = 180.0, 4  # Hz: up to 2,880 Hz, which even speech codecs and 8 kHz recordings preserve
BANDS_PER_OCTAVE = 24
BANDS = OCTAVES * BANDS_PER_OCTAVE
HALF_WIDTH = 1 / 12  # octaves, of a triangular band: wide enough that a quarter of a semitone changes little
SHIFTS = (-2, -1, 0, 1, 2)  # bands, half a semitone each: no shift of up to a semitone is over a quarter away
FLOOR = 1e-3  # of the loudest band: energy 30 dB below it may be noise or an artefact of a codec
LOUD = 0.9  # quantile, over frames, of the loudest band's energy: robust to a single click
PATCH = 16  # frames: half a second
ACROSS, ALONG = 16, 4  # cosine coefficients kept over frequency (from order 1) and time (from order 0)
FLAT = 0.05  # nepers: a patch with a smaller standard deviation is silence, whose signs are rounding errors
SILENT = np.uint64(0)  # the code of such a patch; any other patch has it once in 2**64

TABLES = 3  # groups of bits used as keys to look up codes
KEY_BITS = 21  # per group: with 2 million keys chance matches are few
PROBED_BITS = 3  # bits of a key nearest to changing sign, looked up with both signs
STRIDE = 4  # frames from one lookup to the next; all frames are indexed


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Codes of one clip.

    `codes` are uint64 (shifts, frames). `probes` are the keys to look up, int32 (shifts, lookups, tables, keys),
    the first of each being the code's own key. Lookup i belongs to frame `STRIDE` * i. Both are empty for a clip below
    0.73 s.
    """

    codes: np.ndarray
    probes: np.ndarray


class Fingerprinter:
    """Computation of fingerprints at one sample rate; fingerprints of different rates can be compared."""

    def __init__(self, sample_rate: int) -> None:
        """Take the sample rate in Hz, at least 8,000 so that all bands exist."""
        self.sample_rate = sample_rate
        self.window = np.hanning(round(WINDOW_SECONDS * sample_rate) + 1)[:-1].astype(np.float32)
        self.fft_length = 1 << (len(self.window) - 1).bit_length()

    def __call__(self, samples: np.ndarray) -> Fingerprint:
        """Compute the fingerprint of a clip, int16 or float (samples,)."""
        spectrogram = self.spectrogram(samples)
        if len(spectrogram) < PATCH:
            return Fingerprint(
                codes=np.empty((len(SHIFTS), 0), np.uint64),
                probes=np.empty((len(SHIFTS), 0, TABLES, 1 << PROBED_BITS), np.int32),
            )
        is_sounding = _find_sounding_patches(spectrogram)
        # a pitch shift moves the bands, so codes are computed for every displacement
        shifted = [_compute_codes(spectrogram[:, shift - SHIFTS[0] :][:, :BANDS], is_sounding) for shift in SHIFTS]
        return Fingerprint(
            codes=np.stack([code for code, _ in shifted]), probes=np.stack([probe for _, probe in shifted])
        )

    def spectrogram(self, samples: np.ndarray) -> np.ndarray:
        """Compute the log energy in nepers, float32 (frames, BANDS + len(SHIFTS) - 1)."""
        samples = samples.astype(np.float32)
        # windows, one every 1 / FRAMES_PER_SECOND, rounded to samples
        hop = self.sample_rate / FRAMES_PER_SECOND
        frames = int(max(0, len(samples) - len(self.window)) / hop) + 1
        samples = np.pad(samples, (0, max(0, len(self.window) - len(samples))))
        starts = np.round(np.arange(frames) * hop).astype(np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(samples, len(self.window))[starts] * self.window
        # energy in triangular bands over log frequency
        spectrum = scipy.fft.rfft(windows, n=self.fft_length, axis=1)
        energy = (np.square(spectrum.real) + np.square(spectrum.imag)) @ self._bands
        # logarithm above a floor relative to the clip's loudness
        loudest = float(np.quantile(energy.max(axis=1), LOUD))
        tiny = np.finfo(np.float32).tiny  # keeps the logarithm of digital silence finite
        return np.asarray(np.log(energy + np.float32(FLOOR * loudest + tiny)), np.float32)

    @cached_property
    def _bands(self) -> np.ndarray:
        """Triangular bands over the logarithm of frequency, each of total weight 1: float32 (bins, bands)."""
        bins = np.fft.rfftfreq(self.fft_length, 1 / self.sample_rate)
        numbers = np.arange(BANDS + SHIFTS[-1] - SHIFTS[0]) + SHIFTS[0]
        octaves = np.log2(np.maximum(bins, 1.0) / MIN_HZ)  # 1 Hz replaces 0 Hz, far below any band
        weights = np.maximum(0, 1 - np.abs(octaves[:, None] - numbers / BANDS_PER_OCTAVE) / HALF_WIDTH)
        return (weights / np.maximum(weights.sum(axis=0), 1e-9)).astype(np.float32)


def lookup_keys(codes: np.ndarray) -> np.ndarray:
    """Compute the key of each code in each table: int32 (..., TABLES). Table t has the bits t, t + TABLES and so on."""
    bits = np.unpackbits(codes[..., None].view(np.uint8), axis=-1, bitorder="little")
    return _pack_keys(bits)


def _pack_keys(bits: np.ndarray) -> np.ndarray:
    """Pack bits (..., 64) into one key per table: int32 (..., TABLES)."""
    tables = [bits[..., table::TABLES][..., :KEY_BITS] for table in range(TABLES)]
    return np.stack(tables, axis=-2).astype(np.int32) @ (1 << np.arange(KEY_BITS, dtype=np.int32))


def _find_sounding_patches(spectrogram: np.ndarray) -> np.ndarray:
    """Find the patches, one starting at each frame, that are not silence: bool (patches,)."""
    # the mean is subtracted first, so that squares lose no digits
    values = spectrogram - spectrogram.mean(dtype=np.float64)
    # moments of each patch from cumulative sums over frames; the variance is the mean square minus the squared mean
    powers = (values, values**2)
    sums = [np.concatenate([[0], np.cumsum(power.mean(axis=1, dtype=np.float64))]) for power in powers]
    mean, square = ((total[PATCH:] - total[:-PATCH]) / PATCH for total in sums)
    return np.asarray(square - mean**2 > FLAT**2)


def _compute_codes(spectrogram: np.ndarray, is_sounding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the codes of the patches, uint64 (patches,), and the keys to look up (see `Fingerprint`)."""
    # two-dimensional DCT of each patch: over frequency, then over time
    bands = spectrogram @ _cosine_basis(BANDS, first=1, count=ACROSS)
    patches = np.lib.stride_tricks.sliding_window_view(bands, PATCH, axis=0)
    coefficients = (patches @ _cosine_basis(PATCH, first=0, count=ALONG)).reshape(len(patches), ACROSS * ALONG)
    # one bit per sign
    bits = coefficients > 0
    codes = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)[:, 0]
    probes = _list_probes(coefficients[::STRIDE], bits[::STRIDE])
    return np.where(is_sounding, codes, SILENT), probes


def _list_probes(coefficients: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """List the keys of patches with every setting of each key's weakest bits: int32 (patches, TABLES, keys)."""
    # margin of each bit: its coefficient relative to the coefficient's root mean square, which falls with its order
    size = np.sqrt(np.mean(np.square(coefficients), axis=0)) + np.finfo(np.float32).tiny
    margins = np.abs(coefficients) / size
    probes = np.empty((len(bits), TABLES, 1 << PROBED_BITS), np.int32)
    own = _pack_keys(bits)
    for table in range(TABLES):
        weakest = np.argpartition(margins[:, table::TABLES][:, :KEY_BITS], PROBED_BITS, axis=1)[:, :PROBED_BITS]
        for setting in range(1 << PROBED_BITS):  # flip every subset of the weakest bits
            flipped = [1 << weakest[:, i] for i in range(PROBED_BITS) if setting >> i & 1]
            probes[:, table, setting] = own[:, table] ^ sum(flipped, np.zeros(len(bits), np.int64))
    return probes


def _cosine_basis(length: int, *, first: int, count: int) -> np.ndarray:
    """Compute the cosine basis (DCT-II) over `length` points from order `first` on: float32 (length, count)."""
    orders = np.arange(first, first + count)
    return np.cos(np.pi / length * (np.arange(length)[:, None] + 0.5) * orders).astype(np.float32)
