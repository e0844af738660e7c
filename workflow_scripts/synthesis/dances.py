"""The thirteen dances of the Extended Ballroom, which differ in metre, tempo and rhythm, but not in instruments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow_scripts.synthesis import instruments as gm
from workflow_scripts.synthesis import parts
from workflow_scripts.synthesis.score import SCALES, Part, Piece, Score, count_bars, perform


@dataclass(frozen=True, kw_only=True)
class Dance:
    """Metre, tempo and rhythms of a dance. A rhythm is one bar, or several divided by `|`; kits are alternatives."""

    tempo: tuple[float, float, float]  # beats per minute: 5 %, 50 % and 95 % quantiles of the real set
    beats_per_bar: int = 4
    swing: tuple[float, float] = (0.5, 0.5)
    kits: tuple[dict[int, str], ...]
    bass: tuple[str, ...]
    comping: tuple[str, ...]


_WALTZ_KITS = (
    {gm.KICK: "X-----", gm.SNARE: "--x-x-", gm.HAT: "x-x-x-"},
    {gm.KICK: "X-----", gm.RIM: "--x-x-", gm.RIDE: "X-x-x-"},
    {gm.KICK: "x-----", gm.HAT: "--x-x-"},
)
_WALTZ_BASS, _WALTZ_COMPING = ("X-----", "X---x-"), ("--x-x-", "X-x-x-")
_SWING_KITS = (
    {gm.RIDE: "X-xxX-xx", gm.PEDAL_HAT: "--X---X-", gm.KICK: "x---x---"},
    {gm.HAT: "X-xxX-xx", gm.SNARE: "--x---x-", gm.KICK: "X---X---"},
    {gm.SNARE: "x.X.x.X.", gm.KICK: "X---X---"},
)

DANCES: dict[str, Dance] = {
    "Waltz": Dance(tempo=(84, 87, 87), beats_per_bar=3, kits=_WALTZ_KITS, bass=_WALTZ_BASS, comping=_WALTZ_COMPING),
    "Foxtrot": Dance(
        tempo=(112, 116, 116),
        swing=(0.58, 0.67),
        kits=_SWING_KITS,
        bass=("X---x---", "X-x-x-x-"),
        comping=("--x---x-", "x-x-x-x-"),
    ),
    "Quickstep": Dance(
        tempo=(200, 200, 204),
        swing=(0.55, 0.63),
        kits=_SWING_KITS,
        bass=("X---x---", "X-x-x-x-"),
        comping=("--x---x-", "x-x-x-x-"),
    ),
    "Rumba": Dance(
        tempo=(84, 100, 104),
        kits=(
            {gm.CONGA_HIGH: "x---x-x-x---x-x-", gm.CLAVES: "X--x--x---x-x---", gm.MARACAS: "x-x-x-x-x-x-x-x-"},
            {gm.RIM: "X--x--x---x-x---", gm.CONGA_LOW: "------x-------xx", gm.HAT: "x-x-x-x-x-x-x-x-"},
            {gm.BONGO_HIGH: "x-.-X-.-x-.-X-..", gm.KICK: "X-------x-----x-", gm.MARACAS: "x-x-x-x-x-x-x-x-"},
        ),
        bass=("X-----x-X-----x-", "X-----x-x-------"),
        comping=("X--x--x-X--x--x-", "X-------x---x---"),
    ),
    "Samba": Dance(
        tempo=(98, 100, 102),
        beats_per_bar=2,
        kits=(
            {gm.SURDO: "x---X---", gm.MARACAS: "X.xXX.xX", gm.AGOGO: "X-x--x-x"},
            {gm.KICK: "X--xX--x", gm.TAMBOURINE: "XxxXXxxX", gm.SNARE: "x.xx.xx."},
            {gm.SURDO: "x---X---", gm.SNARE: "Xx.xXx.x", gm.TIMBALE: "X--x--x-"},
        ),
        bass=("X--xX--x", "X--x"),
        comping=("X-xx-xx-", "x--x--x-"),
    ),
    "Tango": Dance(
        tempo=(118, 128, 132),
        kits=(
            {gm.SNARE: "X-X-X-Xx", gm.KICK: "X-x-X-x-"},
            {gm.SNARE: "X--xX---", gm.KICK: "X--xX-x-"},
            {gm.TAMBOURINE: "X-X-X-Xx", gm.KICK: "X---X---"},
        ),
        bass=("X-x-X-x-", "X--xX-x-"),
        comping=("X-X-X-X-", "X--xX-x-"),
    ),
    "Chacha": Dance(
        tempo=(116, 124, 124),
        kits=(
            {gm.COWBELL: "X-x-X-x-", gm.GUIRO: "X--xX--x", gm.CONGA_HIGH: "x-X-x-XX"},
            {gm.HAT: "xxxxxxxx", gm.SNARE: "--X---XX", gm.KICK: "X---x-x-", gm.COWBELL: "X-X-X-X-"},
            {gm.TIMBALE: "--x---XX", gm.GUIRO: "X--xX--x", gm.KICK: "X---x---"},
        ),
        bass=("X--xx---", "X---x-x-"),
        comping=("--x---xx", "-x-x-x-x"),
    ),
    "Jive": Dance(
        tempo=(132, 172, 175),
        swing=(0.56, 0.66),
        kits=(
            {gm.SNARE: "--X---X-", gm.KICK: "X---Xx--", gm.HAT: "XxXxXxXx"},
            {gm.SNARE: "--X---X-", gm.KICK: "X---X---", gm.RIDE: "X-xxX-xx"},
            {gm.CLAP: "--X---X-", gm.KICK: "X-x-X-x-", gm.OPEN_HAT: "x-x-x-x-"},
        ),
        bass=("X-x-x-x-", "X-xxX-xx"),
        comping=("-x-x-x-x", "X-xxX-xx"),
    ),
    "Viennesewaltz": Dance(
        tempo=(171, 177, 180), beats_per_bar=3, kits=_WALTZ_KITS, bass=_WALTZ_BASS, comping=_WALTZ_COMPING
    ),
    "Slowwaltz": Dance(tempo=(84, 87, 87), beats_per_bar=3, kits=_WALTZ_KITS, bass=_WALTZ_BASS, comping=_WALTZ_COMPING),
    "Pasodoble": Dance(
        tempo=(114, 118, 122),
        beats_per_bar=2,
        kits=({gm.SNARE: "X-xxX-x-", gm.KICK: "X---X---"}, {gm.SNARE: "XxxxX-x-", gm.CRASH: "X-------|--------"}),
        bass=("X---x---",),
        comping=("X-x-X-x-",),
    ),
    "Salsa": Dance(
        tempo=(90, 184, 200),
        kits=({gm.CLAVES: "X--x--x-|--x-x---", gm.COWBELL: "X-x-X-xx", gm.CONGA_HIGH: "--x---xx"},),
        bass=("---x--X-",),
        comping=("X-xx-x-x|-x-xx-x-",),
    ),
    "Wcswing": Dance(
        tempo=(92, 116, 136),
        swing=(0.6, 0.67),
        kits=({gm.KICK: "X---X-x-", gm.SNARE: "--X---X-", gm.HAT: "X-xxX-xx"},),
        bass=("X-x-x-x-",),
        comping=("--x---x-",),
    ),
}

#: shared by all dances, so that the lead instrument is not informative
LEADS = (64, 66, 71, 56, 40, 73, 21, 0, 11, 26, 53)
BACKINGS = (0, 0, 26, 24, 21, 16, 48, 61)
BASSES = (32, 33, 35)


@dataclass(frozen=True)
class DanceRecipe:
    """Recipe of a track: one dance at one tempo; `song_seed` determines the music, `band_seed` the players."""

    dance: str
    beats_per_minute: float
    song_seed: int
    band_seed: int
    with_lead: bool = True  # False: karaoke, without the lead

    def __call__(self, rng: np.random.Generator, *, seconds: float) -> Piece:
        """Compose a clip; `rng` determines only its start and noise, so that repetitions share song or band."""
        dance = DANCES[self.dance]
        song_rng, band_rng = np.random.default_rng([self.song_seed, 1]), np.random.default_rng([self.band_seed, 2])
        score = Score(
            beats_per_minute=self.beats_per_minute,
            beats_per_bar=dance.beats_per_bar,
            bars=count_bars(seconds + 1, beats_per_minute=self.beats_per_minute, beats_per_bar=dance.beats_per_bar),
            tonic=int(song_rng.integers(12)),
            scale=SCALES[str(song_rng.choice(["major", "minor", "harmonic_minor", "dorian"]))],
            progression=gm.PROGRESSIONS[song_rng.integers(len(gm.PROGRESSIONS))],
            swing=float(song_rng.uniform(*dance.swing)),
            looseness=float(band_rng.uniform(0.004, 0.014)),
        )
        lead = parts.play_melody(song_rng, score, low=60, high=84)
        bass = parts.play_bass(song_rng, score, str(song_rng.choice(dance.bass)))
        comping = parts.play_chords(song_rng, score, str(song_rng.choice(dance.comping)))
        kit = parts.play_drums(
            song_rng, score, dance.kits[song_rng.integers(len(dance.kits))], dropped=0.22, added=0.12
        )
        performance = [
            Part(
                program=int(band_rng.choice(BASSES)),
                notes=perform(band_rng, score, bass),
                level=-band_rng.uniform(0, 6),
            ),
            Part(
                program=int(band_rng.choice(BACKINGS)),
                notes=perform(band_rng, score, comping),
                level=-band_rng.uniform(2, 9),
            ),
            # the drums may be much softer than the band, as on ballroom records
            Part(program=0, drums=True, notes=perform(band_rng, score, kit), level=-band_rng.uniform(2, 18)),
        ]
        if self.with_lead:
            performance.append(
                Part(
                    program=int(band_rng.choice(LEADS)),
                    notes=perform(band_rng, score, lead),
                    level=-band_rng.uniform(0, 4),
                )
            )
        return Piece(parts=tuple(performance), start=rng.uniform(0, score.bar_seconds), noise=rng.uniform(-50, -30))


def tempo_at_quantile(dance: str, quantile: float) -> float:
    """Interpolate the beats per minute at a quantile of a dance's tempo, linearly between the three known points."""
    low, middle, high = DANCES[dance].tempo
    margin = 0.02 * middle  # beyond the 5 % and 95 % points
    return float(np.interp(quantile, [0, 0.05, 0.5, 0.95, 1], [low - margin, low, middle, high, high + margin]))
