"""Rendering of notes to samples by symusic, with the General MIDI SoundFont that pretty_midi ships."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from symusic import core

from workflow_scripts.core.errors import UserError
from workflow_scripts.synthesis.score import Part, Piece

SAMPLE_RATE = 22_050  # Hz: above the encoders' 16 kHz, at half the cost of 44.1 kHz
QUALITY = 2  # symusic's fastest band-limited resampling (97 dB); its best, 4, takes three times as long
STRENGTH_LAYERS = (0.35, 0.65, 1.0)  # the renderer ignores velocity, so each layer is rendered separately and scaled
#: highest pitch of instruments that are not drums: symusic 0.5.9 never returns from some high notes of this SoundFont.
#: None of the 128 programs has such a note up to 88, some have from 92 on.
HIGHEST_PITCH = 84
#: alto saxophone and whistle: symusic reads past the end of their samples, so some notes differ each time or overflow.
#: Every other program and drum gave the same samples for all pitches up to HIGHEST_PITCH, whatever the memory held.
UNUSABLE_PROGRAMS = frozenset((65, 78))
PART_LEVEL = 0.1  # root mean square of a part at 0 dB
HIT_LEVEL = 0.35  # peak of a drum's full stroke at 0 dB: balanced with parts at PART_LEVEL
HIT_SECONDS = 1.0  # at most; longer cymbals are faded out
PEAK_RANGE = (-14.0, -1.0)  # dB below full scale: recordings differ in level
MAX_DETUNING = 0.35  # semitones to either side: recordings differ in tuning
MAX_TILT = 3.0  # dB per octave to either side of 1 kHz: recordings differ in brightness


@cache
def find_soundfont() -> Path:
    """Find `TimGM6mb.sf2` without importing pretty_midi. Raises `UserError` if it is not installed."""
    package = importlib.util.find_spec("pretty_midi")
    path = Path(package.origin).parent / "TimGM6mb.sf2" if package and package.origin else None
    if path is None or not path.is_file():
        raise UserError("twins need the SoundFont TimGM6mb.sf2 of the package pretty_midi: pip install pretty_midi")
    return path


class Renderer:
    """Renderer of one clip; each clip needs its own.

    The output of symusic's synthesiser depends on what it rendered before, so with one synthesiser for all clips a twin
    would depend on the order in which its processes take the clips.
    """

    def __init__(self) -> None:
        """Load the SoundFont (about 5 ms)."""
        self._synthesizer = core.Synthesizer(str(find_soundfont()), SAMPLE_RATE, QUALITY)

    def render_clip(self, piece: Piece, *, seconds: float, rng: np.random.Generator) -> np.ndarray:
        """Mix a piece with the tuning, brightness, noise and level of a recording: float32 (samples,) in [-1, 1]."""
        speed = 2 ** (rng.uniform(-MAX_DETUNING, MAX_DETUNING) / 12)
        mix = self._mix_detuned(piece, piece.parts, speed=speed, length=round(seconds * SAMPLE_RATE))
        return _imitate_recording(mix, rng=rng, noise=piece.noise)

    def render_stems(
        self, piece: Piece, sources: Sequence[str], *, seconds: float, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Render each source of a piece, float32 (samples,) by name, with one tuning, brightness and level for all.

        `sources` names the source of each part. Their sum is the recording, within [-1, 1]; it has no noise.
        """
        speed, tilt = 2 ** (rng.uniform(-MAX_DETUNING, MAX_DETUNING) / 12), rng.uniform(-MAX_TILT, MAX_TILT)
        peak = 10 ** (rng.uniform(*PEAK_RANGE) / 20)
        parts = {
            name: [part for part, source in zip(piece.parts, sources, strict=True) if source == name]
            for name in dict.fromkeys(sources)
        }
        length = round(seconds * SAMPLE_RATE)
        stems = {
            name: _tilt_spectrum(self._mix_detuned(piece, own, speed=speed, length=length), tilt)
            for name, own in parts.items()
        }
        level = peak / max(float(np.abs(np.sum(list(stems.values()), axis=0)).max()), 1e-9)
        return {name: (audio * level).astype(np.float32) for name, audio in stems.items()}

    def _mix_detuned(self, piece: Piece, parts: Sequence[Part], *, speed: float, length: int) -> np.ndarray:
        """Mix parts of a piece, played `speed` times as fast: float64 (length,)."""
        first, needed = round(piece.start * SAMPLE_RATE), int(length * speed) + 2
        mix = np.zeros(first + needed, np.float32)
        for part in parts:
            mix += self.render_part(part, length=len(mix)) * np.float32(10 ** (part.level / 20))
        return np.interp(np.arange(length) * speed, np.arange(needed), mix[first:])

    def render_part(self, part: Part, *, length: int) -> np.ndarray:
        """Render one part at 0 dB: float32 (length,). Its level is that of the samples in which it sounds."""
        if part.drums:
            return _render_drums(part.notes, length=length)
        audio = self._render_layers(part.notes, program=part.program, length=length)
        sounding = np.abs(audio) > 0.01 * (np.abs(audio).max() + 1e-12)
        level = float(np.sqrt(np.mean(np.square(audio[sounding])))) if sounding.any() else 1.0
        return audio * np.float32(PART_LEVEL / max(level, 1e-9))

    def _render_layers(self, notes: np.ndarray, *, program: int, length: int) -> np.ndarray:
        layers = np.array(STRENGTH_LAYERS)
        nearest = np.abs(notes[:, 3:4] - layers).argmin(axis=1)
        audio = np.zeros(length, np.float32)
        for layer in np.unique(nearest):
            audio += self._render_notes(notes[nearest == layer], program=program, length=length) * np.float32(
                layers[layer]
            )
        return audio

    def _render_notes(self, notes: np.ndarray, *, program: int, length: int) -> np.ndarray:
        assert program not in UNUSABLE_PROGRAMS, f"program {program} cannot be rendered reproducibly"
        notes = notes[notes[:, 0] < length / SAMPLE_RATE]
        if not len(notes):
            return np.zeros(length, np.float32)
        pitches = notes[:, 2] - 12 * np.ceil(np.maximum(notes[:, 2] - HIGHEST_PITCH, 0) / 12)
        notes = np.column_stack([notes[:, 0], notes[:, 1], pitches])
        return _synthesise(self._synthesizer, notes, program=program, drums=False, length=length)


def _render_drums(notes: np.ndarray, *, length: int) -> np.ndarray:
    audio = np.zeros(length + round(HIT_SECONDS * SAMPLE_RATE), np.float32)
    for start, _, drum, strength in notes:
        first = round(start * SAMPLE_RATE)
        if first < length:
            hit = _render_hit(int(drum))
            audio[first : first + len(hit)] += hit * np.float32(strength)
    return audio[:length]


@cache
def _render_hit(drum: int) -> np.ndarray:
    """Render a drum's full stroke, float32 (samples,). All have the same peak: the SoundFont's own differ by 30 dB."""
    synthesizer = core.Synthesizer(str(find_soundfont()), SAMPLE_RATE, QUALITY)
    note = np.array([[0.0, HIT_SECONDS, drum]])
    hit = _synthesise(synthesizer, note, program=0, drums=True, length=round(HIT_SECONDS * SAMPLE_RATE))
    fade = np.minimum(1, np.linspace(2, 0, len(hit)))  # over the second half
    return (hit * fade * (HIT_LEVEL / np.abs(hit).max())).astype(np.float32)


def _synthesise(
    synthesizer: core.Synthesizer, notes: np.ndarray, *, program: int, drums: bool, length: int
) -> np.ndarray:
    """Synthesise notes of start and length in seconds, and pitch: float32 (length,)."""
    track = core.TrackSecond("", program, drums)
    track.notes = core.NoteSecondList.from_numpy(
        notes[:, 0].astype(np.float32),
        notes[:, 1].astype(np.float32),
        notes[:, 2].astype(np.int8),
        np.full(len(notes), 100, np.int8),
    )
    score = core.ScoreSecond(960)  # ticks per quarter: unused, times are in seconds
    score.tracks = core.TrackSecondList([track])
    audio = synthesizer.render(score, False)[0][:length]
    return np.pad(audio, (0, length - len(audio)))


def _imitate_recording(audio: np.ndarray, *, rng: np.random.Generator, noise: float) -> np.ndarray:
    """Tilt the spectrum, add noise at `noise` dB relative to the music, and set the peak: float32, same length."""
    audio = _tilt_spectrum(audio, rng.uniform(-MAX_TILT, MAX_TILT))
    audio += rng.standard_normal(len(audio)) * (np.sqrt(np.mean(np.square(audio))) + 1e-5) * 10 ** (noise / 20)
    peak = 10 ** (rng.uniform(*PEAK_RANGE) / 20)
    return (audio * (peak / max(float(np.abs(audio).max()), 1e-9))).astype(np.float32)


def _tilt_spectrum(audio: np.ndarray, tilt: float) -> np.ndarray:
    """Tilt the spectrum of audio by `tilt` dB per octave around 1 kHz, same length."""
    spectrum = np.fft.rfft(audio)
    frequency = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequency, 50) / 1000)  # constant below 50 Hz, where there is no music
    spectrum *= 10 ** (tilt * octaves / 20)
    return np.fft.irfft(spectrum, n=len(audio))
