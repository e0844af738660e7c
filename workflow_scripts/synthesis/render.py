"""From notes to samples: symusic with the General MIDI SoundFont that pretty_midi ships."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from symusic import core

from workflow_scripts.errors import UserError
from workflow_scripts.synthesis.score import Part, Piece

SAMPLE_RATE = 22_050  # Hz: above what the encoders read (16 kHz), half the cost of 44.1 kHz
QUALITY = 4  # symusic's interpolation order; 4 is what the feasibility measurement used
STRENGTH_LAYERS = (0.35, 0.65, 1.0)  # the renderer ignores velocity, so each layer is rendered on its own and scaled
#: highest pitch of instruments that are not drums. symusic 0.5.9 never returns from some high notes of this SoundFont (its
#: loops get shorter than the renderer's step); none of the 128 programs has one up to 88, some have from 92 on.
HIGHEST = 84
PART_LEVEL = 0.1  # root mean square of a part at 0 dB
HIT_LEVEL = 0.35  # peak of a drum's full stroke at 0 dB: beside parts at PART_LEVEL it sounds balanced
PEAK_RANGE = (-14.0, -1.0)  # dB below full scale: recordings differ in level
DETUNING = 0.35  # semitones to either side: recordings differ in tuning
TILT = 3.0  # dB per octave to either side of 1 kHz: recordings differ in brightness


def soundfont() -> Path:
    """Path of `TimGM6mb.sf2`, found without importing pretty_midi; `UserError` when it is not installed."""
    package = importlib.util.find_spec("pretty_midi")
    path = Path(package.origin).parent / "TimGM6mb.sf2" if package and package.origin else None
    if path is None or not path.is_file():
        raise UserError("twins need the SoundFont TimGM6mb.sf2 of the package pretty_midi: pip install pretty_midi")
    return path


@cache
def renderer() -> Renderer:
    """Return this process's renderer."""
    return Renderer()


class Renderer:
    """Renders parts and pieces; equal input gives equal samples."""

    def __init__(self) -> None:
        """Load the SoundFont (about 5 ms)."""
        self._synthesizer = core.Synthesizer(str(soundfont()), SAMPLE_RATE, QUALITY)
        self._hit_peaks: dict[int, float] = {}

    def clip(self, piece: Piece, *, seconds: float, rng: np.random.Generator) -> np.ndarray:
        """Mix a piece and give it a recording's tuning, brightness, noise and level: float32 (samples,) in [-1, 1]."""
        length = round(seconds * SAMPLE_RATE)
        speed = 2 ** (rng.uniform(-DETUNING, DETUNING) / 12)
        first, needed = round(piece.start * SAMPLE_RATE), int(length * speed) + 2
        mix = np.zeros(first + needed, np.float32)
        for part in piece.parts:
            mix += self.part(part, length=len(mix)) * np.float32(10 ** (part.level / 20))
        positions = np.arange(length) * speed
        detuned = np.interp(positions, np.arange(needed), mix[first:])
        return _recorded(detuned, rng=rng, noise=piece.noise)

    def part(self, part: Part, *, length: int) -> np.ndarray:
        """Render one part at 0 dB: float32 (length,). Its level is taken over the samples in which it sounds."""
        if part.drums:
            return self._drums(part, length=length)
        audio = self._layers(part.notes, program=part.program, drums=False, length=length)
        sounding = np.abs(audio) > 0.01 * (np.abs(audio).max() + 1e-12)
        level = float(np.sqrt(np.mean(np.square(audio[sounding])))) if sounding.any() else 1.0
        return audio * np.float32(PART_LEVEL / max(level, 1e-9))

    def _drums(self, part: Part, *, length: int) -> np.ndarray:
        """Every drum at the same peak: the SoundFont's own differ by 30 dB, which would hide the quiet ones."""
        audio = np.zeros(length, np.float32)
        for drum in np.unique(part.notes[:, 2]):
            notes = part.notes[part.notes[:, 2] == drum]
            audio += self._layers(notes, program=0, drums=True, length=length) * np.float32(
                HIT_LEVEL / self._hit_peak(int(drum))
            )
        return audio

    def _hit_peak(self, drum: int) -> float:
        if drum not in self._hit_peaks:
            hit = self._notes(np.array([[0.0, 0.2, drum, 1.0]]), program=0, drums=True, length=SAMPLE_RATE)
            self._hit_peaks[drum] = max(float(np.abs(hit).max()), 1e-6)
        return self._hit_peaks[drum]

    def _layers(self, notes: np.ndarray, *, program: int, drums: bool, length: int) -> np.ndarray:
        layers = np.array(STRENGTH_LAYERS)
        nearest = np.abs(notes[:, 3:4] - layers).argmin(axis=1)
        audio = np.zeros(length, np.float32)
        for layer in np.unique(nearest):
            audio += self._notes(notes[nearest == layer], program=program, drums=drums, length=length) * np.float32(
                layers[layer]
            )
        return audio

    def _notes(self, notes: np.ndarray, *, program: int, drums: bool, length: int) -> np.ndarray:
        notes = notes[notes[:, 0] < length / SAMPLE_RATE]
        if not len(notes):
            return np.zeros(length, np.float32)
        pitches = notes[:, 2] if drums else notes[:, 2] - 12 * np.ceil(np.maximum(notes[:, 2] - HIGHEST, 0) / 12)
        track = core.TrackSecond("", program, drums)
        track.notes = core.NoteSecondList.from_numpy(
            notes[:, 0].astype(np.float32),
            notes[:, 1].astype(np.float32),
            pitches.astype(np.int8),
            np.full(len(notes), 100, np.int8),
        )
        score = core.ScoreSecond(960)  # ticks per quarter: unused, times are in seconds
        score.tracks = core.TrackSecondList([track])
        rendered = self._synthesizer.render(score, False)[0][:length]
        return np.pad(rendered, (0, length - len(rendered)))


def _recorded(audio: np.ndarray, *, rng: np.random.Generator, noise: float) -> np.ndarray:
    """Tilt the spectrum, add noise at `noise` dB of the music's level and set the peak: float32, same length."""
    spectrum = np.fft.rfft(audio)
    frequency = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequency, 50) / 1000)  # below 50 Hz there is nothing to colour
    spectrum *= 10 ** (rng.uniform(-TILT, TILT) * octaves / 20)
    audio = np.fft.irfft(spectrum, n=len(audio))
    audio += rng.standard_normal(len(audio)) * (np.sqrt(np.mean(np.square(audio))) + 1e-5) * 10 ** (noise / 20)
    peak = 10 ** (rng.uniform(*PEAK_RANGE) / 20)
    return (audio * (peak / max(float(np.abs(audio).max()), 1e-9))).astype(np.float32)
