"""The twenty OpenMIC instruments as General MIDI programs and ways of playing, and ensembles of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow_scripts.synthesis import parts
from workflow_scripts.synthesis.score import SCALES, Part, Piece, Score, count_bars, perform

#: drum -> General MIDI key
KICK, RIM, SNARE, CLAP, HAT, PEDAL_HAT, OPEN_HAT = 36, 37, 38, 39, 42, 44, 46
LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE, CHINA, SPLASH, RIDE_BELL = 45, 47, 50, 49, 51, 52, 55, 53
TAMBOURINE, COWBELL, BONGO_HIGH, BONGO_LOW, CONGA_MUTE, CONGA_HIGH, CONGA_LOW = 54, 56, 60, 61, 62, 63, 64
TIMBALE, AGOGO, MARACAS, GUIRO, CLAVES, SURDO = 65, 67, 70, 73, 75, 87 - 46  # no surdo in General MIDI: low floor tom


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """How an instrument sounds (`programs`, counted from 0), where it plays (MIDI pitches) and in which manners."""

    programs: tuple[int, ...]
    low: int
    high: int
    manners: tuple[str, ...]


#: OpenMIC's class names. General MIDI has no mandolin or ukulele: a steel guitar in tremolo and a strummed nylon
#: guitar, each above the range that `guitar` uses, stand for them.
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
#: instruments that none of the twenty classes means: oboe, bassoon, French horn, tuba, harp, sitar, bagpipe
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
    """Recipe of a clip in which just these OpenMIC instruments sound, with or without an instrument of no class."""

    instruments: tuple[str, ...]
    with_distractor: bool = False

    def __call__(self, rng: np.random.Generator, *, seconds: float) -> Piece:
        """Compose; every instrument plays within the clip."""
        song = draw_score(rng, seconds=seconds)
        # the first is as loud as any; the others stand up to 6 dB behind it, as accompaniment does
        played = [
            play_part(rng, song, OPENMIC[name], level=-rng.uniform(0, 6) * (i > 0))
            for i, name in enumerate(self.instruments)
        ]
        if self.with_distractor:
            played.append(play_part(rng, song, DISTRACTORS, level=-rng.uniform(4, 10)))
        return Piece(parts=tuple(played), start=rng.uniform(0, song.bar_seconds), noise=rng.uniform(-50, -28))


def draw_score(rng: np.random.Generator, *, seconds: float) -> Score:
    """A song of no style: 70 to 160 beats per minute, three or four beats, any key."""
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


def play_part(rng: np.random.Generator, song: Score, instrument: Instrument, *, level: float) -> Part:
    """One instrument's part in a song, in one of its manners."""
    manner = str(rng.choice(instrument.manners))
    octave = max(1, (instrument.low + instrument.high) // 24 - 1)
    low, high = instrument.low, instrument.high
    if manner == "drums":
        notes = parts.play_drums(rng, song, DRUM_KITS[rng.integers(len(DRUM_KITS))])
    elif manner == "cymbals":
        notes = parts.play_drums(rng, song, CYMBAL_KITS[rng.integers(len(CYMBAL_KITS))], dropped=0)
    elif manner == "bass":
        notes = parts.play_bass(rng, song, str(rng.choice(BASS_RHYTHMS)))
    elif manner == "chords":
        notes = parts.play_chords(rng, song, str(rng.choice(COMPING)), octave=octave)
    elif manner == "pad":
        notes = parts.play_chords(rng, song, "X", octave=octave, length=song.beats_per_bar)
    elif manner == "strum":
        notes = parts.strum(rng, song, str(rng.choice(COMPING[2:4])), octave=octave)
    elif manner == "arpeggio":
        notes = parts.play_arpeggio(rng, song, octave=octave, step=float(rng.choice([0.25, 0.5, 0.5])))
    elif manner == "tremolo":
        notes = parts.play_tremolo(rng, song, low=low, high=high)
    else:
        lengths = {"slow": (1, 2, 3), "fast": (0.25, 0.25, 0.5, 1), "melody": (0.5, 0.5, 1, 1, 1.5)}[manner]
        notes = parts.play_melody(rng, song, low=low, high=high, lengths=lengths)
    table = perform(rng, song, notes)
    if manner not in ("drums", "cymbals"):
        table[:, 2] = _fold_into_range(table[:, 2], low=low, high=high)
    program = int(rng.choice(instrument.programs)) if instrument.programs else 0
    return Part(program=program, drums=not instrument.programs, notes=table, level=float(level))


def _fold_into_range(pitches: np.ndarray, *, low: int, high: int) -> np.ndarray:
    """Move pitches by octaves into the instrument's range (at least an octave wide)."""
    raised = pitches + 12 * np.ceil(np.maximum(low - pitches, 0) / 12)
    return raised - 12 * np.ceil(np.maximum(raised - high, 0) / 12)
