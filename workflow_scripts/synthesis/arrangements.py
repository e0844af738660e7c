"""Arrangements: complete descriptions of tracks, drawn before any note is composed, so that tags follow from them.

A `Style` holds distributions; `arrange` draws an `Arrangement` from a style; the arrangement composes a clip and
describes everything that sounds in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workflow_scripts.synthesis import instruments as gm
from workflow_scripts.synthesis import parts
from workflow_scripts.synthesis.instruments import OPENMIC, Instrument
from workflow_scripts.synthesis.kits import HOUSE, ROCK, SHUFFLE, SWING, TRAIN, Kit
from workflow_scripts.synthesis.score import SCALES, Part, Piece, Score, count_bars, perform

#: instruments of OpenMIC that arrangements use
SHARED_INSTRUMENTS = [
    "banjo",
    "cello",
    "clarinet",
    "flute",
    "organ",
    "piano",
    "saxophone",
    "trumpet",
    "violin",
    "accordion",
    "trombone",
    "mallet_percussion",
]
#: instruments and voices. General MIDI has no words and no sexes: a vowel above middle C represents a woman, the same
#: vowel an octave and a half lower a man
PLAYERS: dict[str, Instrument] = {
    **{name: OPENMIC[name] for name in SHARED_INSTRUMENTS},
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
    """Distributions of a style. `leads` and `backings` are names of `PLAYERS`."""

    tempo: tuple[float, float]  # beats per minute
    beats_per_bar: tuple[int, ...] = (4,)
    swing: tuple[float, float] = (0.5, 0.52)
    scales: tuple[str, ...] = ("major", "minor")
    kits: tuple[Kit, ...] = ()
    drum_probability: float = 1.0  # of drums, if there are kits
    leads: tuple[str, ...]
    backings: tuple[str, ...] = ()
    players: tuple[int, ...] = (2, 2, 3)  # number besides singers, bass and drums
    voice_probability: float = 0.5  # of a singer
    voices: tuple[str, ...] = ("female voice", "male voice")
    bass_probability: float = 1.0  # of a bass
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
        voice_probability=0.4,
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
        voice_probability=0.8,
        bass_rhythms=("X-x-x-x-x-x-x-x-",),
    ),
    "indie": Style(
        tempo=(95, 140),
        scales=("major", "mixolydian"),
        kits=(ROCK, _BROKEN),
        leads=("electric guitar", "mallet_percussion"),
        backings=("acoustic guitar", "electric piano"),
        voice_probability=0.8,
    ),
    "pop": Style(
        tempo=(90, 130),
        scales=("major", "major", "minor"),
        kits=(ROCK, HOUSE),
        leads=("piano", "synth", "electric guitar"),
        backings=("acoustic guitar", "electric piano", "strings"),
        voice_probability=0.9,
    ),
    "country": Style(
        tempo=(95, 150),
        scales=("major", "mixolydian"),
        kits=(TRAIN,),
        leads=("banjo", "violin", "harmonica", "acoustic guitar"),
        backings=("acoustic guitar",),
        voice_probability=0.6,
        bass_rhythms=("X---x---",),
    ),
    "folk": Style(
        tempo=(70, 120),
        beats_per_bar=(3, 4),
        scales=("major", "dorian"),
        leads=("acoustic guitar", "flute", "violin", "accordion"),
        backings=("acoustic guitar",),
        bass_probability=0.4,
    ),
    "blues": Style(
        tempo=(65, 120),
        swing=(0.6, 0.67),
        scales=("blues",),
        kits=(SHUFFLE,),
        drum_probability=0.8,
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
        drum_probability=0.9,
        leads=("saxophone", "trumpet", "clarinet", "trombone"),
        backings=("piano", "piano", "electric guitar"),
        voice_probability=0.1,
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
        voice_probability=0.9,
    ),
    "funk": Style(
        tempo=(95, 120),
        scales=("dorian", "mixolydian"),
        kits=(_FUNK,),
        leads=("trumpet", "saxophone"),
        backings=("electric guitar", "electric piano"),
        voice_probability=0.4,
        basses=(36,),
        bass_rhythms=("X--x--x-x-x--x-x",),
    ),
    "disco": Style(
        tempo=(110, 128),
        scales=("minor", "dorian"),
        kits=(HOUSE,),
        leads=("strings", "trumpet"),
        backings=("electric guitar", "electric piano"),
        voice_probability=0.7,
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
        voice_probability=0.2,
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
        voice_probability=0.0,
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
        voice_probability=0.4,
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
        voice_probability=0.1,
        voices=("choir",),
        bass_probability=0.0,
    ),
    "new age": Style(
        tempo=(55, 85),
        scales=("major", "pentatonic"),
        leads=("harp", "flute", "piano"),
        backings=("pad", "strings"),
        voice_probability=0.15,
        voices=("female voice", "choir"),
        bass_probability=0.0,
    ),
    "classical": Style(
        tempo=(60, 160),
        beats_per_bar=(2, 3, 4),
        scales=("major", "harmonic_minor"),
        leads=("violin", "cello", "piano", "flute", "clarinet", "oboe"),
        backings=("strings", "piano", "cello"),
        players=(1, 1, 2, 3),
        voice_probability=0.0,
        bass_probability=0.0,
    ),
    "baroque": Style(
        tempo=(70, 160),
        beats_per_bar=(2, 3, 4),
        scales=("major", "harmonic_minor"),
        leads=("harpsichord",),
        backings=("violin", "oboe", "cello", "flute"),
        players=(1, 2, 2),
        voice_probability=0.0,
        bass_probability=0.0,
    ),
    "opera": Style(
        tempo=(55, 110),
        beats_per_bar=(3, 4),
        scales=("major", "harmonic_minor"),
        leads=("strings",),
        backings=("oboe", "cello", "flute"),
        players=(1, 2),
        voice_probability=1.0,
        bass_probability=0.0,
    ),
    "choral": Style(
        tempo=(50, 80),
        scales=("major", "dorian"),
        leads=("organ",),
        players=(0, 0, 1),
        voice_probability=1.0,
        voices=("choir",),
        bass_probability=0.0,
    ),
    "indian": Style(
        tempo=(70, 130),
        scales=("phrygian_dominant", "harmonic_minor"),
        kits=(_TABLA,),
        drum_probability=0.7,
        leads=("sitar",),
        backings=("flute", "strings"),
        players=(1, 2),
        voice_probability=0.3,
        voices=("female voice",),
        bass_probability=0.0,
    ),
    "weird": Style(
        tempo=(50, 170),
        beats_per_bar=(5, 7),
        scales=("whole_tone",),
        kits=(_BROKEN,),
        drum_probability=0.3,
        leads=("mallet_percussion", "synth", "accordion"),
        backings=("pad", "clarinet", "sitar"),
        voice_probability=0.1,
        bass_probability=0.3,
        basses=(39, 43),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Recipe of a track: everything that sounds. `song_seed` determines key, harmony, groove and manners of playing.

    Clips of one song share its arrangement and differ in the notes played and in their start.
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
        style, band_rng = STYLES[self.style], np.random.default_rng([self.song_seed, 4])
        score = self._draw_score(band_rng, seconds=seconds)
        performance = [
            # the first is the loudest; the others are up to 6 dB softer, as accompaniment
            gm.play_part(rng, score, _settle_instrument(band_rng, PLAYERS[name]), level=-rng.uniform(0, 6) * (i > 0))
            for i, name in enumerate(self.players)
        ]
        program, rhythm = int(band_rng.choice(style.basses)), str(band_rng.choice(style.bass_rhythms))
        if self.bass:
            line = perform(rng, score, parts.play_bass(rng, score, rhythm))
            performance.append(Part(program=program, notes=line, level=-rng.uniform(0, 6)))
        if self.drums:
            kit = parts.play_drums(rng, score, style.kits[band_rng.integers(len(style.kits))])
            performance.append(Part(program=0, drums=True, notes=perform(rng, score, kit), level=-rng.uniform(0, 8)))
        return Piece(parts=tuple(performance), start=rng.uniform(0, score.bar_seconds), noise=rng.uniform(-50, -30))

    @property
    def sources(self) -> tuple[str, ...]:
        """Source of each part of a composed piece, in the parts' order: vocals, other, bass or drums."""
        players = tuple("vocals" if name in VOICES else "other" for name in self.players)
        rhythm_section = (("bass",) if self.bass else ()) + (("drums",) if self.drums else ())
        return players + rhythm_section

    def _draw_score(self, band_rng: np.random.Generator, *, seconds: float) -> Score:
        style = STYLES[self.style]
        beats_per_bar = int(band_rng.choice(style.beats_per_bar))
        return Score(
            beats_per_minute=self.beats_per_minute,
            beats_per_bar=beats_per_bar,
            bars=count_bars(seconds + 1, beats_per_minute=self.beats_per_minute, beats_per_bar=beats_per_bar),
            tonic=int(band_rng.integers(12)),
            scale=SCALES[self.scale],
            progression=gm.PROGRESSIONS[band_rng.integers(len(gm.PROGRESSIONS))],
            swing=float(band_rng.uniform(*style.swing)),
            looseness=float(band_rng.uniform(0.003, 0.015)),
        )

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the singers."""
        return tuple(name for name in self.players if name in VOICES)


def arrange(rng: np.random.Generator, name: str) -> Arrangement:
    """Draw an arrangement of a style, with at least one player."""
    style = STYLES[name]
    with_singer = rng.random() < style.voice_probability
    singers = [str(rng.choice(style.voices))] if with_singer else []
    count = int(rng.choice(style.players))
    lead = [str(rng.choice(style.leads))] if count or not singers else []
    others = [player for player in rng.permutation(sorted(set(style.backings))).tolist() if player not in lead]
    return Arrangement(
        style=name,
        beats_per_minute=round(float(rng.uniform(*style.tempo)), 1),
        scale=str(rng.choice(style.scales)),
        players=(*singers, *lead, *others[: max(0, count - 1)]),
        bass=bool(rng.random() < style.bass_probability),
        drums=bool(style.kits) and bool(rng.random() < style.drum_probability),
        song_seed=int(rng.integers(2**31)),
    )


def _settle_instrument(band_rng: np.random.Generator, instrument: Instrument) -> Instrument:
    """Draw one of an instrument's programs and manners, which a band keeps throughout a song."""
    return replace(
        instrument,
        programs=(int(band_rng.choice(instrument.programs)),),
        manners=(str(band_rng.choice(instrument.manners)),),
    )
