"""Notation of music: scores, with positions in beats, and performed parts, with times in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

#: semitones above the tonic
SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic_minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian_dominant": (0, 1, 4, 5, 7, 8, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "whole_tone": (0, 2, 4, 6, 8, 10),
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """Tempo, metre, key and harmony common to the parts of a piece. Positions are beats from its start."""

    beats_per_minute: float
    beats_per_bar: int
    bars: int
    tonic: int  # pitch class, 0 = C
    scale: tuple[int, ...]
    progression: tuple[int, ...]  # scale degree (0 = tonic) under each bar, repeated
    swing: float = 0.5  # position of a beat's second eighth within the beat: 0.5 straight, 0.67 triplets
    looseness: float = 0.008  # standard deviation of the players' timing, seconds

    @property
    def bar_seconds(self) -> float:
        """Length of a bar in seconds."""
        return self.beats_per_bar * 60 / self.beats_per_minute

    @property
    def beats(self) -> int:
        """Length in beats."""
        return self.bars * self.beats_per_bar

    def pitch(self, degree: int, octave: int) -> int:
        """Return the MIDI pitch of a scale degree; degrees beyond the scale continue into the next octaves."""
        above, step = divmod(degree, len(self.scale))
        return 12 * (octave + 1 + above) + self.tonic + self.scale[step]

    def chord(self, bar: int, *, voices: int = 3) -> list[int]:
        """Return the scale degrees of the chord under a bar, stacked in thirds."""
        root = self.progression[bar % len(self.progression)]
        return [root + 2 * voice for voice in range(voices)]

    def seconds(self, beats: np.ndarray) -> np.ndarray:
        """Convert positions in beats to seconds, swing included."""
        whole = np.floor(beats)
        fraction = beats - whole
        swung = np.where(fraction < 0.5, fraction * 2 * self.swing, 1 - (1 - fraction) * 2 * (1 - self.swing))
        return (whole + swung) * 60 / self.beats_per_minute


def count_bars(seconds: float, *, beats_per_minute: float, beats_per_bar: int) -> int:
    """Count the bars that last at least `seconds` from any point of the first bar on."""
    return math.ceil(seconds * beats_per_minute / 60 / beats_per_bar) + 1


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part of one instrument: float64 (notes, 4) of start and length in seconds, MIDI pitch, strength in (0, 1]."""

    program: int  # General MIDI, counted from 0; ignored for drums
    notes: np.ndarray
    drums: bool = False
    level: float = 0.0  # dB relative to the other parts


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Parts to be mixed; the clip begins `start` seconds after their start."""

    parts: tuple[Part, ...]
    start: float
    noise: float = -60.0  # dB of the background noise relative to the music


def perform(rng: np.random.Generator, score: Score, notes: list[tuple[float, float, int, float]]) -> np.ndarray:
    """Convert notes from beats to seconds, with human timing and dynamics: float64 (notes, 4)."""
    table = np.array(notes, dtype=np.float64).reshape(-1, 4)
    start = score.seconds(table[:, 0])
    table[:, 1] = np.maximum(score.seconds(table[:, 0] + table[:, 1]) - start, 0.03)  # a shorter note is a click
    table[:, 0] = np.maximum(start + rng.normal(0, score.looseness, len(table)), 0)
    table[:, 3] = np.clip(table[:, 3] * rng.uniform(0.75, 1.1, len(table)), 0.1, 1)
    return table
