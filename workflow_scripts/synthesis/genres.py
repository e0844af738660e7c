"""The sixteen root genres of FMA medium, eight of them in FMA small, as distributions of music."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow_scripts.synthesis import instruments as gm
from workflow_scripts.synthesis import parts
from workflow_scripts.synthesis.kits import HOUSE, ROCK, SHUFFLE, SWING, TRAIN, Kit
from workflow_scripts.synthesis.score import SCALES, Part, Piece, Score, count_bars, perform

_DRIVE = {gm.KICK: "X---X---X---X---", gm.SNARE: "----X-------X---", gm.CRASH: "x---x---x---x---"}
_BREAK = {gm.KICK: "X-x-------x-----", gm.SNARE: "----X--.-.--X--.", gm.HAT: "x-x-x-x-x-x-x-x-"}
_BOOM = {gm.KICK: "X--x------x--x--", gm.CLAP: "----X-------X---", gm.HAT: "x-x-xxx-x-x-x-xx"}
_HANDS = {gm.CONGA_HIGH: "x--x--x-x--xx-x-", gm.BONGO_LOW: "--x---x---x-----", gm.MARACAS: "x-x-x-x-x-x-x-x-"}
_SOUL = {gm.KICK: "X-----xx--x-----", gm.SNARE: "----X--.-.--X---", gm.TAMBOURINE: "--x---x---x---x-"}


@dataclass(frozen=True, kw_only=True)
class Genre:
    """Distributions of tempo, harmony, groove and instruments of a genre. Without kits it has no drums."""

    tempo: tuple[float, float]
    beats_per_bar: tuple[int, ...] = (4,)
    swing: tuple[float, float] = (0.5, 0.52)
    scales: tuple[str, ...] = ("major", "minor")
    kits: tuple[Kit, ...] = ()
    drum_probability: float = 0.9  # of drums, if there are kits
    leads: tuple[int, ...]
    lead_lengths: tuple[float, ...] = (0.5, 0.5, 1, 1, 1.5)
    backings: tuple[int, ...]
    comping: tuple[str, ...] = gm.COMPING
    arpeggio_probability: float = 0.2  # of broken instead of struck chords
    pad_probability: float = 0.2  # of a sustained background
    pads: tuple[int, ...] = (48, 89)
    basses: tuple[int, ...] = (33,)
    bass_rhythms: tuple[str, ...] = gm.BASS_RHYTHMS


GENRES: dict[str, Genre] = {
    "Electronic": Genre(
        tempo=(100, 145),
        scales=("minor", "dorian"),
        kits=(HOUSE, _BREAK),
        leads=(80, 81, 87, 62),
        lead_lengths=(0.25, 0.25, 0.5, 0.5),
        backings=(81, 90, 4, 62),
        arpeggio_probability=0.5,
        pad_probability=0.6,
        pads=(88, 89, 95),
        basses=(38, 39),
        bass_rhythms=("--x---x---x---x-", "X-x-x-x-x-x-x-x-"),
    ),
    "Experimental": Genre(
        tempo=(50, 150),
        beats_per_bar=(3, 4, 5, 7),
        scales=("whole_tone", "phrygian_dominant", "minor"),
        kits=(_BREAK, _HANDS),
        drum_probability=0.3,
        leads=(97, 101, 68, 88, 54, 12),
        lead_lengths=(0.25, 1, 3, 4),
        backings=(98, 11, 14, 48, 92),
        arpeggio_probability=0.4,
        pad_probability=0.7,
        pads=(91, 94, 95, 99),
        basses=(39, 43),
    ),
    "Folk": Genre(
        tempo=(80, 130),
        beats_per_bar=(3, 4),
        scales=("major", "dorian", "mixolydian"),
        kits=(TRAIN, _HANDS),
        drum_probability=0.25,
        leads=(40, 73, 53, 22, 21),
        backings=(24, 25, 105),
        arpeggio_probability=0.6,
        basses=(32,),
    ),
    "Hip-Hop": Genre(
        tempo=(75, 105),
        swing=(0.5, 0.58),
        scales=("minor", "dorian"),
        kits=(_BREAK, _BOOM),
        leads=(54, 11, 80, 4, 56),
        lead_lengths=(0.5, 0.5, 1, 2),
        backings=(4, 5, 0, 48),
        comping=("X-------x-------", "X--x------------"),
        basses=(38, 33, 39),
        bass_rhythms=("X--x------x-----", "X---------x--x--"),
    ),
    "Instrumental": Genre(
        tempo=(60, 125),
        scales=("major", "minor"),
        kits=(ROCK, _BREAK),
        drum_probability=0.35,
        leads=(0, 48, 42, 26, 11),
        lead_lengths=(1, 1, 2, 0.5),
        backings=(0, 24, 46, 89),
        arpeggio_probability=0.6,
        pad_probability=0.6,
        basses=(32, 35),
    ),
    "International": Genre(
        tempo=(85, 140),
        beats_per_bar=(3, 4),
        scales=("phrygian_dominant", "harmonic_minor", "mixolydian"),
        kits=(_HANDS, {**_HANDS, gm.AGOGO: "X-x--x-x--x-x---"}),
        leads=(104, 73, 21, 71, 77, 107),
        lead_lengths=(0.25, 0.5, 0.5, 1),
        backings=(24, 21, 108, 107, 12),
        comping=gm.COMPING[1:3],
        basses=(32, 33),
    ),
    "Pop": Genre(
        tempo=(90, 130),
        scales=("major", "major", "minor"),
        kits=(ROCK, HOUSE),
        leads=(53, 54, 80, 0, 27),
        backings=(0, 25, 27, 4),
        comping=gm.COMPING[2:],
        pad_probability=0.5,
        pads=(48, 50, 89),
        basses=(33, 38),
    ),
    "Rock": Genre(
        tempo=(100, 165),
        scales=("minor", "mixolydian", "major"),
        kits=(ROCK, _DRIVE),
        leads=(29, 30, 27, 53),
        backings=(29, 30, 27, 18),
        comping=("X-x-x-x-X-x-x-x-", "X--x--x-X--x--x-"),
        arpeggio_probability=0.05,
        basses=(34, 33),
        bass_rhythms=("X-x-x-x-x-x-x-x-", "X--x--x-X-------"),
    ),
    "Classical": Genre(
        tempo=(55, 130),
        beats_per_bar=(2, 3, 4),
        scales=("major", "harmonic_minor"),
        leads=(40, 73, 68, 71, 42, 6),
        backings=(48, 0, 6, 46),
        arpeggio_probability=0.5,
        pad_probability=0.5,
        basses=(42, 43, 70),
    ),
    "Old-Time / Historic": Genre(
        tempo=(90, 150),
        scales=("major",),
        kits=(TRAIN,),
        drum_probability=0.2,
        leads=(40, 56, 71, 105, 53),
        backings=(3, 105, 24, 0),
        comping=("--x---x-",),
        basses=(58, 32),
        bass_rhythms=("X---x---",),
    ),
    "Jazz": Genre(
        tempo=(95, 190),
        swing=(0.58, 0.68),
        scales=("dorian", "mixolydian", "major"),
        kits=(SWING,),
        leads=(64, 66, 56, 57, 11, 26),
        lead_lengths=(0.5, 0.5, 0.5, 1),
        backings=(0, 0, 26, 16),
        comping=("---x--x---------", "x-----x---------"),
        basses=(32,),
        bass_rhythms=("X-x-x-x-",),
    ),
    "Country": Genre(
        tempo=(95, 150),
        scales=("major", "mixolydian"),
        kits=(TRAIN, ROCK),
        leads=(40, 25, 27, 53, 22),
        backings=(25, 25, 105, 0),
        comping=("--x---x-", "X-x-x-x-"),
        basses=(32, 33),
        bass_rhythms=("X---x---",),
    ),
    "Soul-RnB": Genre(
        tempo=(70, 115),
        swing=(0.5, 0.58),
        scales=("dorian", "major"),
        kits=(_SOUL, _BREAK),
        leads=(53, 54, 66, 4),
        backings=(4, 16, 27, 61),
        pad_probability=0.4,
        basses=(33, 36),
    ),
    "Spoken": Genre(
        tempo=(60, 160),
        scales=("pentatonic",),
        leads=(53, 54),
        lead_lengths=(0.25, 0.25, 0.5),
        backings=(89,),
        comping=("X",),
        pad_probability=0.1,
        basses=(),
    ),
    "Blues": Genre(
        tempo=(70, 130),
        swing=(0.6, 0.67),
        scales=("blues", "mixolydian"),
        kits=(SHUFFLE,),
        drum_probability=0.7,
        leads=(22, 26, 27, 53),
        backings=(26, 25, 0),
        comping=("X-xxX-xx", "x---x---"),
        basses=(32, 33),
        bass_rhythms=("X-x-x-x-",),
    ),
    "Easy Listening": Genre(
        tempo=(80, 120),
        scales=("major",),
        kits=(_HANDS, ROCK),
        drum_probability=0.5,
        leads=(48, 66, 0, 11, 73),
        lead_lengths=(1, 1, 2),
        backings=(0, 24, 48),
        pad_probability=0.8,
        basses=(32, 35),
    ),
}
SMALL = ("Electronic", "Experimental", "Folk", "Hip-Hop", "Instrumental", "International", "Pop", "Rock")

COMMON_PROGRAMS = (0, 4, 24, 25, 27, 40, 48, 53, 66, 73, 80)  # instruments of all genres
BORROWING_PROBABILITY = 0.2  # probability that a player's instrument is from COMMON_PROGRAMS


@dataclass(frozen=True)
class GenreRecipe:
    """Recipe of a track of a genre; `artist_seed` determines the band, so that an artist's tracks are alike."""

    genre: str
    artist_seed: int

    def __call__(self, rng: np.random.Generator, *, seconds: float) -> Piece:
        """Compose a track of the artist."""
        genre, band_rng = GENRES[self.genre], np.random.default_rng([self.artist_seed, 3])
        score = _draw_score(rng, genre, seconds=seconds)
        lead, backing, pad = (
            _draw_program(band_rng, programs) for programs in (genre.leads, genre.backings, genre.pads)
        )
        low = int(band_rng.integers(50, 64))
        performance = [
            Part(
                program=lead,
                notes=perform(
                    rng, score, parts.play_melody(rng, score, low=low, high=low + 20, lengths=genre.lead_lengths)
                ),
                level=-rng.uniform(0, 5),
            ),
            Part(
                program=backing,
                notes=perform(rng, score, _play_accompaniment(rng, score, genre)),
                level=-rng.uniform(2, 9),
            ),
        ]
        if genre.basses:
            line = parts.play_bass(rng, score, str(rng.choice(genre.bass_rhythms)))
            bass = int(band_rng.choice(genre.basses))
            performance.append(Part(program=bass, notes=perform(rng, score, line), level=-rng.uniform(0, 6)))
        if rng.random() < genre.pad_probability:
            chords = parts.play_chords(rng, score, "X", octave=4, length=score.beats_per_bar)
            performance.append(Part(program=pad, notes=perform(rng, score, chords), level=-rng.uniform(4, 12)))
        if genre.kits and rng.random() < genre.drum_probability:
            kit = parts.play_drums(rng, score, genre.kits[rng.integers(len(genre.kits))], dropped=0.1)
            performance.append(Part(program=0, drums=True, notes=perform(rng, score, kit), level=-rng.uniform(0, 10)))
        return Piece(parts=tuple(performance), start=rng.uniform(0, score.bar_seconds), noise=rng.uniform(-50, -25))


def _draw_score(rng: np.random.Generator, genre: Genre, *, seconds: float) -> Score:
    beats_per_minute, beats_per_bar = rng.uniform(*genre.tempo), int(rng.choice(genre.beats_per_bar))
    return Score(
        beats_per_minute=beats_per_minute,
        beats_per_bar=beats_per_bar,
        bars=count_bars(seconds + 1, beats_per_minute=beats_per_minute, beats_per_bar=beats_per_bar),
        tonic=int(rng.integers(12)),
        scale=SCALES[str(rng.choice(genre.scales))],
        progression=gm.PROGRESSIONS[rng.integers(len(gm.PROGRESSIONS))],
        swing=float(rng.uniform(*genre.swing)),
        looseness=float(rng.uniform(0.003, 0.015)),
    )


def _play_accompaniment(rng: np.random.Generator, score: Score, genre: Genre) -> parts.Notes:
    if rng.random() < genre.arpeggio_probability:
        return parts.play_arpeggio(rng, score, step=float(rng.choice([0.25, 0.5])))
    return parts.play_chords(rng, score, str(rng.choice(genre.comping)))


def _draw_program(rng: np.random.Generator, programs: tuple[int, ...]) -> int:
    return int(rng.choice(COMMON_PROGRAMS if rng.random() < BORROWING_PROBABILITY else programs))
