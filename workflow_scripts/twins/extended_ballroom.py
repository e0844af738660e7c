"""Twin of the Extended Ballroom: thirteen dances in the real set's proportions and tempos, with repetitions of songs.

Layout: `extendedballroom_v1.1.xml` and one folder per dance with `<id>.mp3`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_text
from workflow_scripts.synthesis import names
from workflow_scripts.synthesis.dances import DanceRecipe, tempo_at_quantile
from workflow_scripts.synthesis.write import ClipSpec, add_defects, derive_seed, make_rng, write_clips

NAME = "extendedballroom_v1.1.xml"
#: tracks of each dance in the real set
COUNTS = {
    "Chacha": 455,
    "Foxtrot": 507,
    "Jive": 350,
    "Pasodoble": 53,
    "Quickstep": 497,
    "Rumba": 470,
    "Salsa": 47,
    "Samba": 468,
    "Slowwaltz": 65,
    "Tango": 464,
    "Viennesewaltz": 252,
    "Waltz": 529,
    "Wcswing": 23,
}
REPEATED = 0.12  # share of tracks that repeat an earlier one: 4,180 tracks form 3,727 groups
#: kinds of repetition and their shares; the real set marks 487 exact, 514 version, 32 time, 24 karaoke
KINDS, WEIGHTS = ("exact", "version", "time", "karaoke"), (0.45, 0.47, 0.05, 0.03)


@dataclass(frozen=True, kw_only=True)
class TwinTrack:
    """One song element and the music behind it; `repeats` names an earlier song and how it is repeated."""

    song: int
    recipe: DanceRecipe
    repeats: tuple[str, int] | None


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files."""
    tracks = _draw_tracks(twin)
    rng = make_rng(twin, "titles")
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<ballroom>"]
    for dance in COUNTS:
        own = [track for track in tracks if track.recipe.dance == dance]
        if own:
            lines += [f"  <{dance}>", *(_format_song(track, rng) for track in own), f"  </{dance}>"]
    write_text(root / NAME, "\n".join([*lines, "</ballroom>", ""]))
    clips = [
        ClipSpec(
            path=f"{track.recipe.dance}/{track.song}.mp3",
            recipe=track.recipe,
            # an exact repetition is the same recording: the same random numbers
            seed=derive_seed(twin, "ballroom", _recording_of(track)),
        )
        for track in tracks
    ]
    write_clips(root, add_defects(clips, twin), seconds=twin.clip_seconds, total=len(clips))


def _recording_of(track: TwinTrack) -> int:
    return track.repeats[1] if track.repeats and track.repeats[0] == "exact" else track.song


def _draw_tracks(twin: TwinOptions) -> list[TwinTrack]:
    rng = make_rng(twin, "tracks")
    tracks: list[TwinTrack] = []
    # the real ids start there and leave gaps
    song = 100_601
    for dance, count in _count_clips(twin.clips).items():
        originals: list[TwinTrack] = []
        for _ in range(count):
            repeated = bool(originals) and rng.random() < REPEATED
            track = (
                _draw_repetition(rng, song, originals[rng.integers(len(originals))])
                if repeated
                else TwinTrack(song=song, recipe=_draw_recipe(rng, dance, song), repeats=None)
            )
            if not repeated:
                originals.append(track)
            tracks.append(track)
            song += int(rng.integers(1, 4))
    return tracks


def _count_clips(clips: int) -> dict[str, int]:
    """Count the clips of each dance in the real proportions (largest remainders), at least one if there are enough."""
    total = sum(COUNTS.values())
    exact = {dance: clips * count / total for dance, count in COUNTS.items()}
    counts = {dance: max(int(share), 1 if clips >= len(COUNTS) else 0) for dance, share in exact.items()}
    while sum(counts.values()) != clips:
        step = 1 if sum(counts.values()) < clips else -1
        dance = max(counts, key=lambda name: (step * (exact[name] - counts[name]), name))
        counts[dance] += step
    return counts


def _draw_recipe(rng: np.random.Generator, dance: str, song: int) -> DanceRecipe:
    seed = int(rng.integers(2**31))
    return DanceRecipe(dance, round(tempo_at_quantile(dance, rng.random()), 1), song_seed=seed, band_seed=seed + song)


def _draw_repetition(rng: np.random.Generator, song: int, original: TwinTrack) -> TwinTrack:
    """Draw a repetition: the same recording, another band's version, another tempo, or no singer."""
    kind, recipe = str(rng.choice(KINDS, p=WEIGHTS)), original.recipe
    tempo = recipe.beats_per_minute
    if kind == "version":
        recipe = DanceRecipe(recipe.dance, tempo, song_seed=recipe.song_seed, band_seed=recipe.band_seed + song)
    elif kind == "time":
        recipe = DanceRecipe(
            recipe.dance,
            round(tempo * rng.uniform(0.96, 1.04), 1),
            song_seed=recipe.song_seed,
            band_seed=recipe.band_seed,
        )
    elif kind == "karaoke":
        recipe = DanceRecipe(
            recipe.dance, tempo, song_seed=recipe.song_seed, band_seed=recipe.band_seed, with_lead=False
        )
    return TwinTrack(song=song, recipe=recipe, repeats=(kind, original.song))


def _format_song(track: TwinTrack, rng: np.random.Generator) -> str:
    attributes = {
        "album": names.invent_title(rng),
        "artist": names.invent_artist(rng),
        "bpm": str(round(track.recipe.beats_per_minute)),
        "hash": hashlib.md5(str(track.song).encode(), usedforsecurity=False).hexdigest(),
        "id": str(track.song),
        "title": names.invent_title(rng),
    }
    head = "    <song " + " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    return f"{head}/>" if track.repeats is None else f'{head}><{track.repeats[0]} id="{track.repeats[1]}"/></song>'
