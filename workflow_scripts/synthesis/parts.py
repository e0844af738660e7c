"""What players do: melodies, bass lines, chords, drums. Notes are (start, length, pitch, strength), times in beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workflow_scripts.synthesis.score import Score

Notes = list[tuple[float, float, int, float]]

#: strength of each letter of a rhythm; any other letter is a rest
STRENGTHS = {"X": 1.0, "x": 0.65, ".": 0.35}


def expand_rhythm(rhythm: str, *, beats_per_bar: int, bars: int) -> list[tuple[float, float]]:
    """Positions in beats and strengths of a rhythm such as ``X-x-|X-xx`` (bars between bars), repeated over `bars`."""
    pattern = rhythm.split("|")
    found = []
    for bar in range(bars):
        letters = pattern[bar % len(pattern)]
        step = beats_per_bar / len(letters)
        found += [
            (bar * beats_per_bar + i * step, STRENGTHS[letter])
            for i, letter in enumerate(letters)
            if letter in STRENGTHS
        ]
    return found


def play_drums(
    rng: np.random.Generator, song: Score, kit: Mapping[int, str], *, dropped: float = 0.08, added: float = 0.05
) -> Notes:
    """Play a rhythm on each drum; hits are left out with probability `dropped`; `added` soft ones come per eighth."""
    notes: Notes = []
    for drum, rhythm in kit.items():
        for position, strength in expand_rhythm(rhythm, beats_per_bar=song.beats_per_bar, bars=song.bars):
            if rng.random() >= dropped * (1.5 - strength):  # accents are kept longest
                notes.append((position, 0.25, drum, strength))
        extra = np.flatnonzero(rng.random(2 * song.beats) < added)
        notes += [(eighth / 2, 0.25, drum, STRENGTHS["."]) for eighth in extra]
    return notes


def play_bass(rng: np.random.Generator, song: Score, rhythm: str, *, octave: int = 2, walking: float = 0.2) -> Notes:
    """Root and fifth on the rhythm, with passing notes of probability `walking`."""
    notes: Notes = []
    for position, strength in expand_rhythm(rhythm, beats_per_bar=song.beats_per_bar, bars=song.bars):
        bar = int(position // song.beats_per_bar)
        root, third, fifth = song.chord(bar)
        on_bar = position == bar * song.beats_per_bar
        degree = root if on_bar else int(rng.choice([root, fifth, fifth - len(song.scale), third]))
        if not on_bar and rng.random() < walking:
            degree += int(rng.choice([-1, 1]))
        notes.append((position, 0.8, song.pitch(degree, octave), strength))
    return notes


def play_chords(
    rng: np.random.Generator, song: Score, rhythm: str, *, octave: int = 4, voices: int = 3, length: float = 0.5
) -> Notes:
    """Chords on the rhythm; an inversion is drawn per bar."""
    notes: Notes = []
    inversions = rng.integers(0, voices, song.bars)
    for position, strength in expand_rhythm(rhythm, beats_per_bar=song.beats_per_bar, bars=song.bars):
        bar = int(position // song.beats_per_bar)
        for voice, degree in enumerate(song.chord(bar, voices=voices)):
            turned = degree + (len(song.scale) if voice < inversions[bar] else 0)
            notes.append((position, length, song.pitch(turned, octave), strength))
    return notes


def strum(rng: np.random.Generator, song: Score, rhythm: str, *, octave: int = 4, strings: int = 4) -> Notes:
    """Chords whose notes follow each other by some hundredths of a beat, down and up in turn."""
    notes: Notes = []
    for stroke, (position, strength) in enumerate(
        expand_rhythm(rhythm, beats_per_bar=song.beats_per_bar, bars=song.bars)
    ):
        bar = int(position // song.beats_per_bar)
        degrees = song.chord(bar, voices=strings)
        delay = rng.uniform(0.02, 0.05)
        for string, degree in enumerate(degrees if stroke % 2 == 0 else degrees[::-1]):
            notes.append((position + string * delay, 0.9, song.pitch(degree, octave), strength))
    return notes


def play_arpeggio(rng: np.random.Generator, song: Score, *, octave: int = 4, step: float = 0.5) -> Notes:
    """Chord notes one by one, in one of a few orders."""
    order = [(0, 1, 2, 1), (0, 1, 2, 3), (0, 2, 1, 2), (3, 2, 1, 0)][rng.integers(4)]
    notes: Notes = []
    for i, position in enumerate(np.arange(0, song.beats, step)):
        degree = song.chord(int(position // song.beats_per_bar), voices=4)[order[i % 4]]
        notes.append((float(position), step, song.pitch(degree, octave), 1.0 if i % 4 == 0 else 0.65))
    return notes


def play_melody(
    rng: np.random.Generator,
    song: Score,
    *,
    low: int,
    high: int,
    lengths: Sequence[float] = (0.5, 0.5, 1, 1, 1.5, 2),
    rests: float = 0.12,
    legato: float = 0.9,
) -> Notes:
    """A walk through the scale between pitches `low` and `high` that meets a chord note at each bar."""
    ladder = [
        pitch for pitch in range(low, high + 1) if (pitch - song.tonic) % 12 in {step % 12 for step in song.scale}
    ]
    notes: Notes = []
    position, rung, bar = 0.0, int(rng.integers(len(ladder))), -1
    while position < song.beats:
        length = float(rng.choice(lengths))
        here = int(position // song.beats_per_bar)
        if here != bar:
            tones = {song.pitch(degree, 4) % 12 for degree in song.chord(here)}
            near = [i for i, pitch in enumerate(ladder) if pitch % 12 in tones] or [rung]
            rung, bar = min(near, key=lambda i: abs(i - rung)), here
        else:
            rung = int(np.clip(rung + rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]), 0, len(ladder) - 1))
        if rng.random() >= rests or not notes:
            notes.append((position, length * legato, ladder[rung], float(rng.choice([0.65, 0.65, 1.0]))))
        position += length
    return notes


def play_tremolo(rng: np.random.Generator, song: Score, *, low: int, high: int) -> Notes:
    """A melody whose notes are repeated as fast as a plectrum goes (about a dozen a second)."""
    step = song.beats_per_minute / 60 / rng.uniform(10, 14)
    notes: Notes = []
    for start, length, pitch, strength in play_melody(rng, song, low=low, high=high, lengths=(1, 1, 2)):
        repeats = max(1, int(length / step))
        notes += [(start + i * step, step, pitch, strength if i % 2 == 0 else 0.65 * strength) for i in range(repeats)]
    return notes
