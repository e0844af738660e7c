"""The twenty OpenMIC instruments as General MIDI programs with manners of playing, and ensembles of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from workflow_scripts.synthesis import parts
from workflow_scripts.synthesis.score import SCALES, Part, Piece, Score, count_bars, perform

#: General MIDI keys of the drums
KICK, RIM, SNARE, CLAP, HAT, PEDAL_HAT, OPEN_HAT = 36, 37, 38, 39, 42, 44, 46
LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE, CHINA, SPLASH, RIDE_BELL = 45, 47, 50, 49, 51, 52, 55, 53
TAMBOURINE, COWBELL, BONGO_HIGH, BONGO_LOW, CONGA_MUTE, CONGA_HIGH, CONGA_LOW = 54, 56, 60, 61, 62, 63, 64
TIMBALE, AGOGO, MARACAS, GUIRO, CLAVES = 65, 67, 70, 73, 75
SURDO = 41  # low floor tom: General MIDI has no surdo


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """Sounds (General MIDI `programs`, counted from 0), range (MIDI pitches) and manners of playing of an instrument.

    Percussion has no programs.
    """

    programs: tuple[int, ...]
    low: int
    high: int
    manners: tuple[str, ...]  # keys of MANNERS

    @property
    def octave(self) -> int:
        """Octave for chords: that of the middle of the range, at least 1."""
        return max(1, (self.low + self.high) // 24 - 1)


#: OpenMIC's class names. General MIDI has no mandolin or ukulele: a steel guitar in tremolo and a strummed nylon
#: guitar, each above the range that `guitar` uses, represent them.
OPENMIC: dict[str, Instrument] = {
    "accordion": Instrument(programs=(21, 23), low=55, high=84, manners=("melody", "chords")),
    "banjo": Instrument(programs=(105,), low=50, high=76, manners=("arpeggio", "fast")),
    "bass": Instrument(programs=(32, 33, 34, 35, 36), low=28, high=48, manners=("bass",)),
    "cello": Instrument(programs=(42,), low=36, high=64, manners=("melody", "slow")),
    "clarinet": Instrument(programs=(71,), low=52, high=82, manners=("melody",)),
    "cymbals": Instrument(programs=(), low=0, high=0, manners=("cymbals",)),
    "drums": Instrument(programs=(), low=0, high=0, manners=("drums",)),
    "flute": Instrument(programs=(73,), low=60, high=84, manners=("melody", "fast")),
    "guitar": Instrument(programs=(24, 25, 26, 27, 29, 30), low=43, high=68, manners=("chords", "arpeggio", "melody")),
    "mallet_percussion": Instrument(programs=(11, 12, 13), low=55, high=84, manners=("melody", "arpeggio", "fast")),
    "mandolin": Instrument(programs=(25,), low=67, high=84, manners=("tremolo",)),
    "organ": Instrument(programs=(16, 17, 18, 19), low=48, high=79, manners=("pad", "chords", "melody")),
    "piano": Instrument(programs=(0, 1, 2), low=45, high=84, manners=("chords", "arpeggio", "melody")),
    "saxophone": Instrument(programs=(64, 66, 67), low=46, high=78, manners=("melody", "fast")),
    "synthesizer": Instrument(programs=(80, 81, 87, 88, 90, 95), low=48, high=84, manners=("pad", "fast", "arpeggio")),
    "trombone": Instrument(programs=(57,), low=40, high=69, manners=("melody", "slow")),
    "trumpet": Instrument(programs=(56,), low=54, high=82, manners=("melody", "fast")),
    "ukulele": Instrument(programs=(24,), low=67, high=84, manners=("strum",)),
    "violin": Instrument(programs=(40,), low=56, high=84, manners=("melody", "slow", "fast")),
    "voice": Instrument(programs=(52, 53), low=52, high=79, manners=("slow", "pad")),
}
#: instruments of none of the twenty classes: oboe, bassoon, French horn, tuba, harp, sitar, bagpipe
DISTRACTORS = Instrument(
    programs=(68, 70, 60, 58, 46, 104, 109), low=45, high=76, manners=("melody", "arpeggio", "slow")
)

PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (1, 4, 0, 0), (0, 0, 3, 4), (5, 3, 0, 4), (0, 6, 5, 4))
COMPING = ("X---x---x---x---", "--x---x---x---x-", "X--x--x-X--x--x-", "X-x-x-x-X-x-x-x-", "X-------x-------")
BASS_RHYTHMS = ("X-----x-X-----x-", "X---x---x---x---", "X--x--x-X-------", "X-x-x-x-x-x-x-x-")
DRUM_KITS = (
    {KICK: "X-------X-x-----", SNARE: "----X-------X---", LOW_TOM: "--------------x-"},
    {KICK: "X--x--x-X---x---", SNARE: "----x--.----x--.", HIGH_TOM: "-------x--------"},
    {KICK: "X---x---X---x---", SNARE: "----X-------X-.-", MID_TOM: "---------x------"},
    {SNARE: "X-..x-..X-..x-.x", KICK: "X-------x-------"},
)
CYMBAL_KITS = ({RIDE: "X---x-x-X---x-x-"}, {CRASH: "X-------x-------"}, {RIDE: "x-x-x-x-x-x-x-x-", SPLASH: "X-------"})


@dataclass(frozen=True)
class EnsembleRecipe:
    """Recipe of a clip in which exactly these OpenMIC instruments sound, with or without one of no class."""

    instruments: tuple[str, ...]
    with_distractor: bool = False

    def __call__(self, rng: np.random.Generator, *, seconds: float) -> Piece:
        """Compose a clip in which every instrument plays."""
        score = draw_score(rng, seconds=seconds)
        # the first is the loudest; the others are up to 6 dB softer, as accompaniment
        performance = [
            play_part(rng, score, OPENMIC[name], level=-rng.uniform(0, 6) * (i > 0))
            for i, name in enumerate(self.instruments)
        ]
        if self.with_distractor:
            performance.append(play_part(rng, score, DISTRACTORS, level=-rng.uniform(4, 10)))
        return Piece(parts=tuple(performance), start=rng.uniform(0, score.bar_seconds), noise=rng.uniform(-50, -28))


def draw_score(rng: np.random.Generator, *, seconds: float) -> Score:
    """Draw a score of no particular style: 70 to 160 beats per minute, three or four beats per bar, any key."""
    beats_per_minute, beats_per_bar = rng.uniform(70, 160), int(rng.choice([3, 4, 4, 4]))
    return Score(
        beats_per_minute=beats_per_minute,
        beats_per_bar=beats_per_bar,
        bars=count_bars(seconds + 1, beats_per_minute=beats_per_minute, beats_per_bar=beats_per_bar),
        tonic=int(rng.integers(12)),
        scale=SCALES[str(rng.choice(["major", "minor", "dorian", "mixolydian"]))],
        progression=PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
        swing=float(rng.choice([0.5, 0.5, 0.62])),
    )


def play_part(rng: np.random.Generator, score: Score, instrument: Instrument, *, level: float) -> Part:
    """Play the part of an instrument in a score, in one of its manners."""
    manner = str(rng.choice(instrument.manners))
    notes = perform(rng, score, MANNERS[manner](rng, score, instrument))
    if instrument.programs:
        notes[:, 2] = _fold_into_range(notes[:, 2], low=instrument.low, high=instrument.high)
    program = int(rng.choice(instrument.programs)) if instrument.programs else 0
    return Part(program=program, drums=not instrument.programs, notes=notes, level=float(level))


def _play_drums(rng: np.random.Generator, score: Score, _: Instrument) -> parts.Notes:
    return parts.play_drums(rng, score, DRUM_KITS[rng.integers(len(DRUM_KITS))])


def _play_cymbals(rng: np.random.Generator, score: Score, _: Instrument) -> parts.Notes:
    return parts.play_drums(rng, score, CYMBAL_KITS[rng.integers(len(CYMBAL_KITS))], dropped=0)


def _play_bass(rng: np.random.Generator, score: Score, _: Instrument) -> parts.Notes:
    return parts.play_bass(rng, score, str(rng.choice(BASS_RHYTHMS)))


def _play_chords(rng: np.random.Generator, score: Score, instrument: Instrument) -> parts.Notes:
    return parts.play_chords(rng, score, str(rng.choice(COMPING)), octave=instrument.octave)


def _play_pad(rng: np.random.Generator, score: Score, instrument: Instrument) -> parts.Notes:
    return parts.play_chords(rng, score, "X", octave=instrument.octave, length=score.beats_per_bar)


def _strum(rng: np.random.Generator, score: Score, instrument: Instrument) -> parts.Notes:
    return parts.strum(rng, score, str(rng.choice(COMPING[2:4])), octave=instrument.octave)


def _play_arpeggio(rng: np.random.Generator, score: Score, instrument: Instrument) -> parts.Notes:
    return parts.play_arpeggio(rng, score, octave=instrument.octave, step=float(rng.choice([0.25, 0.5, 0.5])))


def _play_tremolo(rng: np.random.Generator, score: Score, instrument: Instrument) -> parts.Notes:
    return parts.play_tremolo(rng, score, low=instrument.low, high=instrument.high)


def _play_melody(
    rng: np.random.Generator, score: Score, instrument: Instrument, *, lengths: tuple[float, ...]
) -> parts.Notes:
    return parts.play_melody(rng, score, low=instrument.low, high=instrument.high, lengths=lengths)


#: manner -> function that plays an instrument's part in it
MANNERS: dict[str, Callable[[np.random.Generator, Score, Instrument], parts.Notes]] = {
    "drums": _play_drums,
    "cymbals": _play_cymbals,
    "bass": _play_bass,
    "chords": _play_chords,
    "pad": _play_pad,
    "strum": _strum,
    "arpeggio": _play_arpeggio,
    "tremolo": _play_tremolo,
    "slow": partial(_play_melody, lengths=(1, 2, 3)),
    "fast": partial(_play_melody, lengths=(0.25, 0.25, 0.5, 1)),
    "melody": partial(_play_melody, lengths=(0.5, 0.5, 1, 1, 1.5)),
}


def _fold_into_range(pitches: np.ndarray, *, low: int, high: int) -> np.ndarray:
    """Move pitches by octaves into a range, which is at least an octave wide."""
    raised = pitches + 12 * np.ceil(np.maximum(low - pitches, 0) / 12)
    return raised - 12 * np.ceil(np.maximum(raised - high, 0) / 12)
