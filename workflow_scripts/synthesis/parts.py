"""Parts of a score: melodies, bass lines, chords, drums. Notes are (start, length, pitch, strength), times in beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workflow_scripts.synthesis.score import Score

Notes = list[tuple[float, float, int, float]]

#: strength of each letter of a rhythm; any other letter is a rest
STRENGTHS = {"X": 1.0, "x": 0.65, ".": 0.35}


def expand_rhythm(rhythm: str, *, beats_per_bar: int, bars: int) -> list[tuple[float, float]]:
    """Expand a rhythm such as ``X-x-|X-xx``, repeated over `bars`, to positions in beats and strengths."""
    pattern = rhythm.split("|")
    hits = []
    for bar in range(bars):
        letters = pattern[bar % len(pattern)]
        step = beats_per_bar / len(letters)
        hits += [
            (bar * beats_per_bar + i * step, STRENGTHS[letter])
            for i, letter in enumerate(letters)
            if letter in STRENGTHS
        ]
    return hits


def play_drums(
    rng: np.random.Generator, score: Score, kit: Mapping[int, str], *, dropped: float = 0.08, added: float = 0.05
) -> Notes:
    """Play a rhythm on each drum; hits are omitted with probability `dropped`, `added` soft ones per eighth."""
    notes: Notes = []
    for drum, rhythm in kit.items():
        for position, strength in expand_rhythm(rhythm, beats_per_bar=score.beats_per_bar, bars=score.bars):
            if rng.random() >= dropped * (1.5 - strength):  # accents are kept longest
                notes.append((position, 0.25, drum, strength))
        extra = np.flatnonzero(rng.random(2 * score.beats) < added)
        notes += [(eighth / 2, 0.25, drum, STRENGTHS["."]) for eighth in extra]
    return notes


def play_bass(rng: np.random.Generator, score: Score, rhythm: str, *, octave: int = 2, walking: float = 0.2) -> Notes:
    """Play root, third and fifth on the rhythm, with passing notes of probability `walking`."""
    notes: Notes = []
    for position, strength in expand_rhythm(rhythm, beats_per_bar=score.beats_per_bar, bars=score.bars):
        bar = int(position // score.beats_per_bar)
        root, third, fifth = score.chord(bar)
        on_bar = position == bar * score.beats_per_bar
        degree = root if on_bar else int(rng.choice([root, fifth, fifth - len(score.scale), third]))
        if not on_bar and rng.random() < walking:
            degree += int(rng.choice([-1, 1]))
        notes.append((position, 0.8, score.pitch(degree, octave), strength))
    return notes


def play_chords(
    rng: np.random.Generator, score: Score, rhythm: str, *, octave: int = 4, voices: int = 3, length: float = 0.5
) -> Notes:
    """Play chords on the rhythm, with a random inversion per bar."""
    notes: Notes = []
    inversions = rng.integers(0, voices, score.bars)
    for position, strength in expand_rhythm(rhythm, beats_per_bar=score.beats_per_bar, bars=score.bars):
        bar = int(position // score.beats_per_bar)
        for voice, degree in enumerate(score.chord(bar, voices=voices)):
            inverted = degree + (len(score.scale) if voice < inversions[bar] else 0)
            notes.append((position, length, score.pitch(inverted, octave), strength))
    return notes


def strum(rng: np.random.Generator, score: Score, rhythm: str, *, octave: int = 4, strings: int = 4) -> Notes:
    """Strum chords: their notes follow each other by some hundredths of a beat, down and up in turn."""
    notes: Notes = []
    for stroke, (position, strength) in enumerate(
        expand_rhythm(rhythm, beats_per_bar=score.beats_per_bar, bars=score.bars)
    ):
        bar = int(position // score.beats_per_bar)
        degrees = score.chord(bar, voices=strings)
        delay = rng.uniform(0.02, 0.05)
        for string, degree in enumerate(degrees if stroke % 2 == 0 else degrees[::-1]):
            notes.append((position + string * delay, 0.9, score.pitch(degree, octave), strength))
    return notes


def play_arpeggio(rng: np.random.Generator, score: Score, *, octave: int = 4, step: float = 0.5) -> Notes:
    """Play chord notes one by one, in a random order of four."""
    order = [(0, 1, 2, 1), (0, 1, 2, 3), (0, 2, 1, 2), (3, 2, 1, 0)][rng.integers(4)]
    notes: Notes = []
    for i, position in enumerate(np.arange(0, score.beats, step)):
        degree = score.chord(int(position // score.beats_per_bar), voices=4)[order[i % 4]]
        notes.append((float(position), step, score.pitch(degree, octave), 1.0 if i % 4 == 0 else 0.65))
    return notes


def play_melody(
    rng: np.random.Generator,
    score: Score,
    *,
    low: int,
    high: int,
    lengths: Sequence[float] = (0.5, 0.5, 1, 1, 1.5, 2),
    rests: float = 0.12,
    legato: float = 0.9,
) -> Notes:
    """Play a random walk on the scale between pitches `low` and `high`, with a chord note at the start of each bar."""
    ladder = [
        pitch for pitch in range(low, high + 1) if (pitch - score.tonic) % 12 in {step % 12 for step in score.scale}
    ]
    notes: Notes = []
    position, rung, bar = 0.0, int(rng.integers(len(ladder))), -1
    while position < score.beats:
        length = float(rng.choice(lengths))
        current_bar = int(position // score.beats_per_bar)
        if current_bar != bar:
            tones = {score.pitch(degree, 4) % 12 for degree in score.chord(current_bar)}
            near = [i for i, pitch in enumerate(ladder) if pitch % 12 in tones] or [rung]
            rung, bar = min(near, key=lambda i: abs(i - rung)), current_bar
        else:
            rung = int(np.clip(rung + rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]), 0, len(ladder) - 1))
        if rng.random() >= rests or not notes:
            notes.append((position, length * legato, ladder[rung], float(rng.choice([0.65, 0.65, 1.0]))))
        position += length
    return notes


def play_tremolo(rng: np.random.Generator, score: Score, *, low: int, high: int) -> Notes:
    """Play a melody whose notes are repeated at the speed of a plectrum (about a dozen a second)."""
    step = score.beats_per_minute / 60 / rng.uniform(10, 14)
    notes: Notes = []
    for start, length, pitch, strength in play_melody(rng, score, low=low, high=high, lengths=(1, 1, 2)):
        repeats = max(1, int(length / step))
        notes += [(start + i * step, step, pitch, strength if i % 2 == 0 else 0.65 * strength) for i in range(repeats)]
    return notes
