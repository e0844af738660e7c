"""Tracks of which everything is stated before a note is written, so that tags can be derived instead of guessed.

A `Style` says what is likely; `arrange` draws an `Arrangement` from it; the arrangement composes, and is all there is
to know of what sounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workflow_scripts.synthesis import instruments as gm
from workflow_scripts.synthesis import parts
from workflow_scripts.synthesis.instruments import OPENMIC, Instrument
from workflow_scripts.synthesis.kits import HOUSE, ROCK, SHUFFLE, SWING, TRAIN, Kit
from workflow_scripts.synthesis.score import SCALES, Part, Piece, Score, count_bars, perform

#: who may play. General MIDI sings no words and has no women or men: a sung vowel above middle C stands for a woman,
#: the same an octave and a half lower for a man
PLAYERS: dict[str, Instrument] = {
    **{name: OPENMIC[name] for name in ("banjo", "cello", "clarinet", "flute", "organ", "piano", "saxophone")},
    **{name: OPENMIC[name] for name in ("trumpet", "violin", "accordion", "trombone", "mallet_percussion")},
    "acoustic guitar": Instrument(programs=(24, 25), low=43, high=72, manners=("arpeggio", "chords", "melody")),
    "electric guitar": Instrument(programs=(26, 27), low=43, high=72, manners=("chords", "melody", "arpeggio")),
    "distorted guitar": Instrument(programs=(29, 30), low=40, high=67, manners=("chords", "fast")),
    "electric piano": Instrument(programs=(4, 5), low=45, high=79, manners=("chords", "melody")),
    "harmonica": Instrument(programs=(22,), low=60, high=84, manners=("melody",)),
    "harp": Instrument(programs=(46,), low=48, high=84, manners=("arpeggio", "fast")),
    "harpsichord": Instrument(programs=(6,), low=45, high=84, manners=("arpeggio", "fast", "chords")),
    "oboe": Instrument(programs=(68,), low=58, high=84, manners=("melody", "slow")),
    "pad": Instrument(programs=(88, 89, 91, 95), low=45, high=76, manners=("pad",)),
    "sitar": Instrument(programs=(104,), low=48, high=76, manners=("melody", "fast", "arpeggio")),
    "strings": Instrument(programs=(48, 49), low=43, high=84, manners=("pad", "slow")),
    "synth": Instrument(programs=(80, 81, 87, 90), low=48, high=84, manners=("fast", "arpeggio", "melody")),
    "female voice": Instrument(programs=(53,), low=64, high=82, manners=("slow", "melody")),
    "male voice": Instrument(programs=(53,), low=43, high=60, manners=("slow", "melody")),
    "choir": Instrument(programs=(52,), low=43, high=79, manners=("pad",)),
}
VOICES = ("female voice", "male voice", "choir")

_DRIVE = {gm.KICK: "X-X-X-X-X-X-X-X-", gm.SNARE: "----X-------X---", gm.CRASH: "x---x---x---x---"}
_BROKEN = {gm.KICK: "X--x------x--x--", gm.SNARE: "----X--.-.--X---", gm.HAT: "x-xxx-x-x-x-x-xx"}
_ONE_DROP = {gm.KICK: "--------X-------", gm.RIM: "--------X-------", gm.HAT: "x-x-x-x-x-x-x-x-"}
_FUNK = {gm.KICK: "X-----xx--x-----", gm.SNARE: "----X--.-.--X--.", gm.TAMBOURINE: "--x---x---x---x-"}
_TABLA = {gm.BONGO_HIGH: "X--x-x--X-x-x---", gm.CONGA_LOW: "X-----x-----X-x-", gm.BONGO_LOW: "---x--x--x----x-"}


@dataclass(frozen=True, kw_only=True)
class Style:
    """What is likely in a style. `leads` and `backings` are names of `PLAYERS`."""

    tempo: tuple[float, float]  # beats per minute
    beats_per_bar: tuple[int, ...] = (4,)
    swing: tuple[float, float] = (0.5, 0.52)
    scales: tuple[str, ...] = ("major", "minor")
    kits: tuple[Kit, ...] = ()
    drummed: float = 1.0  # probability of drums, where there are kits
    leads: tuple[str, ...]
    backings: tuple[str, ...] = ()
    players: tuple[int, ...] = (2, 2, 3)  # how many play beside singers, bass and drums
    sung: float = 0.5  # probability of a voice
    voices: tuple[str, ...] = ("female voice", "male voice")
    bass: float = 1.0  # probability of a bass
    basses: tuple[int, ...] = (32, 33)  # General MIDI programs
    bass_rhythms: tuple[str, ...] = gm.BASS_RHYTHMS


STYLES: dict[str, Style] = {
    "rock": Style(
        tempo=(100, 150),
        scales=("minor", "mixolydian", "major"),
        kits=(ROCK,),
        leads=("electric guitar", "distorted guitar"),
        backings=("electric guitar", "organ", "piano"),
    ),
    "metal": Style(
        tempo=(130, 190),
        scales=("minor", "phrygian_dominant"),
        kits=(_DRIVE,),
        leads=("distorted guitar",),
        backings=("distorted guitar",),
        sung=0.4,
        voices=("male voice",),
        bass_rhythms=("X-x-x-x-x-x-x-x-",),
    ),
    "punk": Style(
        tempo=(150, 190),
        scales=("major", "minor"),
        kits=(ROCK, _DRIVE),
        leads=("distorted guitar",),
        backings=("electric guitar",),
        players=(1, 2),
        sung=0.8,
        bass_rhythms=("X-x-x-x-x-x-x-x-",),
    ),
    "indie": Style(
        tempo=(95, 140),
        scales=("major", "mixolydian"),
        kits=(ROCK, _BROKEN),
        leads=("electric guitar", "mallet_percussion"),
        backings=("acoustic guitar", "electric piano"),
        sung=0.8,
    ),
    "pop": Style(
        tempo=(90, 130),
        scales=("major", "major", "minor"),
        kits=(ROCK, HOUSE),
        leads=("piano", "synth", "electric guitar"),
        backings=("acoustic guitar", "electric piano", "strings"),
        sung=0.9,
    ),
    "country": Style(
        tempo=(95, 150),
        scales=("major", "mixolydian"),
        kits=(TRAIN,),
        leads=("banjo", "violin", "harmonica", "acoustic guitar"),
        backings=("acoustic guitar",),
        sung=0.6,
        bass_rhythms=("X---x---",),
    ),
    "folk": Style(
        tempo=(70, 120),
        beats_per_bar=(3, 4),
        scales=("major", "dorian"),
        leads=("acoustic guitar", "flute", "violin", "accordion"),
        backings=("acoustic guitar",),
        bass=0.4,
    ),
    "blues": Style(
        tempo=(65, 120),
        swing=(0.6, 0.67),
        scales=("blues",),
        kits=(SHUFFLE,),
        drummed=0.8,
        leads=("harmonica", "electric guitar"),
        backings=("electric guitar", "piano"),
        voices=("male voice",),
        bass_rhythms=("X-x-x-x-",),
    ),
    "jazz": Style(
        tempo=(95, 190),
        swing=(0.58, 0.68),
        scales=("dorian", "mixolydian"),
        kits=(SWING,),
        drummed=0.9,
        leads=("saxophone", "trumpet", "clarinet", "trombone"),
        backings=("piano", "piano", "electric guitar"),
        sung=0.1,
        basses=(32,),
        bass_rhythms=("X-x-x-x-",),
    ),
    "soul": Style(
        tempo=(70, 115),
        swing=(0.5, 0.58),
        scales=("dorian", "major"),
        kits=(_FUNK,),
        leads=("electric piano", "saxophone"),
        backings=("organ", "strings", "electric guitar"),
        sung=0.9,
    ),
    "funk": Style(
        tempo=(95, 120),
        scales=("dorian", "mixolydian"),
        kits=(_FUNK,),
        leads=("trumpet", "saxophone"),
        backings=("electric guitar", "electric piano"),
        sung=0.4,
        basses=(36,),
        bass_rhythms=("X--x--x-x-x--x-x",),
    ),
    "disco": Style(
        tempo=(110, 128),
        scales=("minor", "dorian"),
        kits=(HOUSE,),
        leads=("strings", "trumpet"),
        backings=("electric guitar", "electric piano"),
        sung=0.7,
        voices=("female voice",),
        basses=(33, 36),
        bass_rhythms=("X-x-X-x-X-x-X-x-",),
    ),
    "house": Style(
        tempo=(118, 132),
        scales=("minor",),
        kits=(HOUSE,),
        leads=("synth", "piano"),
        backings=("pad", "electric piano"),
        sung=0.2,
        voices=("female voice",),
        basses=(38, 39),
        bass_rhythms=("--x---x---x---x-",),
    ),
    "techno": Style(
        tempo=(126, 150),
        scales=("minor", "phrygian_dominant"),
        kits=(HOUSE,),
        leads=("synth",),
        backings=("synth", "pad"),
        sung=0.0,
        basses=(38, 39),
        bass_rhythms=("X-x-x-x-x-x-x-x-",),
    ),
    "hiphop": Style(
        tempo=(75, 105),
        swing=(0.5, 0.58),
        scales=("minor", "dorian"),
        kits=(_BROKEN,),
        leads=("electric piano", "synth", "mallet_percussion"),
        backings=("strings", "pad"),
        players=(1, 2),
        sung=0.4,
        voices=("male voice",),
        basses=(38,),
        bass_rhythms=("X--x------x-----",),
    ),
    "reggae": Style(
        tempo=(65, 90),
        scales=("minor", "mixolydian"),
        kits=(_ONE_DROP,),
        leads=("organ", "trombone"),
        backings=("electric guitar", "organ"),
        voices=("male voice",),
        bass_rhythms=("--x-X-x---x-X---",),
    ),
    "ambient": Style(
        tempo=(50, 75),
        scales=("major", "dorian", "whole_tone"),
        leads=("pad", "synth"),
        backings=("pad", "strings"),
        sung=0.1,
        voices=("choir",),
        bass=0.0,
    ),
    "new age": Style(
        tempo=(55, 85),
        scales=("major", "pentatonic"),
        leads=("harp", "flute", "piano"),
        backings=("pad", "strings"),
        sung=0.15,
        voices=("female voice", "choir"),
        bass=0.0,
    ),
    "classical": Style(
        tempo=(60, 160),
        beats_per_bar=(2, 3, 4),
        scales=("major", "harmonic_minor"),
        leads=("violin", "cello", "piano", "flute", "clarinet", "oboe"),
        backings=("strings", "piano", "cello"),
        players=(1, 1, 2, 3),
        sung=0.0,
        bass=0.0,
    ),
    "baroque": Style(
        tempo=(70, 160),
        beats_per_bar=(2, 3, 4),
        scales=("major", "harmonic_minor"),
        leads=("harpsichord",),
        backings=("violin", "oboe", "cello", "flute"),
        players=(1, 2, 2),
        sung=0.0,
        bass=0.0,
    ),
    "opera": Style(
        tempo=(55, 110),
        beats_per_bar=(3, 4),
        scales=("major", "harmonic_minor"),
        leads=("strings",),
        backings=("oboe", "cello", "flute"),
        players=(1, 2),
        sung=1.0,
        bass=0.0,
    ),
    "choral": Style(
        tempo=(50, 80),
        scales=("major", "dorian"),
        leads=("organ",),
        players=(0, 0, 1),
        sung=1.0,
        voices=("choir",),
        bass=0.0,
    ),
    "indian": Style(
        tempo=(70, 130),
        scales=("phrygian_dominant", "harmonic_minor"),
        kits=(_TABLA,),
        drummed=0.7,
        leads=("sitar",),
        backings=("flute", "strings"),
        players=(1, 2),
        sung=0.3,
        voices=("female voice",),
        bass=0.0,
    ),
    "weird": Style(
        tempo=(50, 170),
        beats_per_bar=(5, 7),
        scales=("whole_tone",),
        kits=(_BROKEN,),
        drummed=0.3,
        leads=("mallet_percussion", "synth", "accordion"),
        backings=("pad", "clarinet", "sitar"),
        sung=0.1,
        bass=0.3,
        basses=(39, 43),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Recipe of a track: all that sounds. `song_seed` seeds key, harmony, groove and playing manners.

    Clips of one song share its arrangement and differ in what is played and where they begin.
    """

    style: str
    beats_per_minute: float
    scale: str
    players: tuple[str, ...]  # names of PLAYERS, singers included; the first leads
    bass: bool
    drums: bool
    song_seed: int

    def __call__(self, rng: np.random.Generator, *, seconds: float) -> Piece:
        """Compose a clip."""
        style, band = STYLES[self.style], np.random.default_rng([self.song_seed, 4])
        song = self._song(band, seconds=seconds)
        played = [
            # whoever leads is as loud as any; the others stand up to 6 dB behind, as accompaniment does
            gm.play_part(rng, song, _settle_instrument(band, PLAYERS[name]), level=-rng.uniform(0, 6) * (i > 0))
            for i, name in enumerate(self.players)
        ]
        program, rhythm = int(band.choice(style.basses)), str(band.choice(style.bass_rhythms))
        if self.bass:
            line = perform(rng, song, parts.play_bass(rng, song, rhythm))
            played.append(Part(program=program, notes=line, level=-rng.uniform(0, 6)))
        if self.drums:
            kit = parts.play_drums(rng, song, style.kits[band.integers(len(style.kits))])
            played.append(Part(program=0, drums=True, notes=perform(rng, song, kit), level=-rng.uniform(0, 8)))
        return Piece(parts=tuple(played), start=rng.uniform(0, song.bar_seconds), noise=rng.uniform(-50, -30))

    @property
    def sources(self) -> tuple[str, ...]:
        """Which of vocals, other, bass and drums each part of a composed piece is, in the parts' order."""
        players = tuple("vocals" if name in VOICES else "other" for name in self.players)
        return (*players, *(["bass"] if self.bass else []), *(["drums"] if self.drums else []))

    def _song(self, band: np.random.Generator, *, seconds: float) -> Score:
        style = STYLES[self.style]
        beats_per_bar = int(band.choice(style.beats_per_bar))
        return Score(
            beats_per_minute=self.beats_per_minute,
            beats_per_bar=beats_per_bar,
            bars=count_bars(seconds + 1, beats_per_minute=self.beats_per_minute, beats_per_bar=beats_per_bar),
            tonic=int(band.integers(12)),
            scale=SCALES[self.scale],
            progression=gm.PROGRESSIONS[band.integers(len(gm.PROGRESSIONS))],
            swing=float(band.uniform(*style.swing)),
            looseness=float(band.uniform(0.003, 0.015)),
        )

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the singers."""
        return tuple(name for name in self.players if name in VOICES)


def arrange(rng: np.random.Generator, style: str) -> Arrangement:
    """Draw a track of a style; at least one player sounds."""
    likely = STYLES[style]
    sung = rng.random() < likely.sung
    singers = [str(rng.choice(likely.voices))] if sung else []
    count = int(rng.choice(likely.players))
    lead = [str(rng.choice(likely.leads))] if count or not singers else []
    others = [name for name in rng.permutation(sorted(set(likely.backings))).tolist() if name not in lead]
    return Arrangement(
        style=style,
        beats_per_minute=round(float(rng.uniform(*likely.tempo)), 1),
        scale=str(rng.choice(likely.scales)),
        players=(*singers, *lead, *others[: max(0, count - 1)]),
        bass=bool(rng.random() < likely.bass),
        drums=bool(likely.kits) and bool(rng.random() < likely.drummed),
        song_seed=int(rng.integers(2**31)),
    )


def _settle_instrument(band: np.random.Generator, instrument: Instrument) -> Instrument:
    """One of an instrument's programs and manners: what a band plays throughout a song."""
    return replace(
        instrument, programs=(int(band.choice(instrument.programs)),), manners=(str(band.choice(instrument.manners)),)
    )
