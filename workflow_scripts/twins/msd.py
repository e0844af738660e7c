"""Twin of the Million Song Dataset's previews: tags of Last.fm, derived from the composition.

Tags that name an opinion or a decade (sexy, 80s) represent a style or an instrument here, so that they are true by
construction too. Layout: `<digit>/<digit>/<7digital id>.clip.mp3`, the tables of split and tags, and the pickle that
maps tracks to previews.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_atomically, write_text
from workflow_scripts.synthesis.arrangements import Arrangement, arrange
from workflow_scripts.synthesis.write import ClipSpec, add_defects, derive_seed, make_rng, write_clips

#: columns of the published label arrays
TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
    "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow",
    "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient",
    "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening",
    "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad",
    "House", "happy",
)  # fmt: skip
STYLES = (
    "rock", "rock", "rock", "indie", "indie", "pop", "pop", "metal", "punk", "house", "techno", "ambient", "hiphop",
    "jazz", "soul", "funk", "disco", "folk", "blues", "country", "new age", "weird",
)  # fmt: skip
#: table and its share of the tracks; the real shares are 83 %, 5 % and 12 %
TABLES = (("train_gt_msd.tsv", 0.7), ("val_gt_msd.tsv", 0.12), ("test_gt_msd.tsv", 0.18))
ABSENT = 0.05  # tracks without a file, relative to those with one
LETTERS, HEXADECIMAL = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), list("0123456789ABCDEF")

#: tags of a style
_STYLE_TAGS: dict[str, tuple[str, ...]] = {
    "rock": ("rock",),
    "indie": ("indie", "alternative", "00s"),
    "pop": ("pop", "catchy"),
    "metal": ("metal", "heavy metal", "hard rock", "rock"),
    "punk": ("punk", "alternative", "alternative rock", "rock"),
    "house": ("House", "electronic", "electronica", "dance", "party"),
    "techno": ("electronic", "electronica", "electro", "dance"),
    "ambient": ("ambient", "electronic", "chillout"),
    "hiphop": ("Hip-Hop", "90s"),
    "jazz": ("jazz",),
    "soul": ("soul", "rnb", "sexy"),
    "funk": ("funk", "70s"),
    "disco": ("dance", "party", "70s"),
    "folk": ("folk",),
    "blues": ("blues", "oldies"),
    "country": ("country",),
    "new age": ("easy listening",),
    "weird": ("experimental",),
}
#: tags of an instrument within a style: players decide decade and subgenre
_TAGS_BY_INSTRUMENT: dict[tuple[str, str], tuple[str, ...]] = {
    ("rock", "organ"): ("classic rock", "60s", "oldies"),
    ("rock", "piano"): ("classic rock", "Progressive rock"),
    ("rock", "distorted guitar"): ("hard rock", "alternative rock"),
    ("indie", "electric guitar"): ("indie rock",),
    ("indie", "mallet_percussion"): ("indie pop",),
    ("pop", "synth"): ("80s",),
    ("pop", "piano"): ("90s",),
    ("soul", "organ"): ("60s", "oldies"),
}
_GUITARS = ("acoustic guitar", "electric guitar", "distorted guitar")


@dataclass(frozen=True, kw_only=True)
class TwinPreview:
    """One row of a table, and its preview; without audio if `present` is false."""

    track: str
    preview: str
    arrangement: Arrangement
    present: bool


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files. `twin.clips` tracks have audio."""
    tracks = _draw_tracks(twin)
    _write_lists(root, tracks, twin)
    clips = [
        ClipSpec(
            path=f"{track.preview[0]}/{track.preview[1]}/{track.preview}.clip.mp3",
            recipe=track.arrangement,
            seed=derive_seed(twin, "msd", int(track.preview)),
        )
        for track in tracks
        if track.present
    ]
    write_clips(root, add_defects(clips, twin), seconds=twin.clip_seconds, total=len(clips))


def tags_of(arrangement: Arrangement) -> frozenset[str]:
    """Return all tags that hold for a track, by its style and instruments."""
    players, tempo, major = arrangement.players, arrangement.beats_per_minute, arrangement.scale == "major"
    gentle = not arrangement.drums
    rules = {
        _STYLE_TAGS[arrangement.style]: True,
        ("guitar",): any(name in players for name in _GUITARS),
        ("female vocalists", "female vocalist"): "female voice" in players,
        ("male vocalists",): "male voice" in players,
        ("instrumental",): not arrangement.voices,
        ("Mellow", "chill"): gentle,
        ("acoustic",): gentle and "acoustic guitar" in players,
        ("beautiful",): gentle and any(name in players for name in ("harp", "piano", "violin", "flute")),
        ("happy",): major and arrangement.drums and tempo > 100,
        ("sad",): not major and tempo < 90,
    }
    held = {tag for tags, holds in rules.items() if holds for tag in tags}
    return frozenset(held.union(*(_TAGS_BY_INSTRUMENT.get((arrangement.style, name), ()) for name in players)))


def _draw_tracks(twin: TwinOptions) -> list[TwinPreview]:
    rng = make_rng(twin, "tracks")
    count = twin.clips + max(1, round(ABSENT * twin.clips))
    previews = rng.choice(9_000_000, size=count, replace=False) + 100_000  # the real numbers have up to seven digits
    styles = rng.permutation(count) % len(STYLES)  # every style equally often
    return [
        TwinPreview(
            track=_draw_name(rng, i),
            preview=str(preview),
            arrangement=arrange(rng, STYLES[style]),
            present=i < twin.clips,
        )
        for i, (preview, style) in enumerate(zip(previews, styles, strict=True))
    ]


def _draw_name(rng: np.random.Generator, number: int) -> str:
    """Draw TR, five letters and eleven hexadecimal digits, of which the last five count up: no two are equal."""
    letters, digits = rng.choice(LETTERS, 5), rng.choice(HEXADECIMAL, 2)
    return f"TR{''.join(letters)}128F{''.join(digits)}{number:05X}"


def _write_lists(root: Path, tracks: list[TwinPreview], twin: TwinOptions) -> None:
    order = make_rng(twin, "split").permutation(len(tracks))
    bounds = np.round(np.cumsum([share for _, share in TABLES]) * len(tracks)).astype(int)
    named = [(tracks[i].track, tracks[i]) for i in order]
    parts = [named[first:last] for first, last in zip([0, *bounds[:-1]], bounds, strict=True)]
    previews = {track.track: track.preview for track in tracks}
    if twin.defects:  # two names of one preview, in training and test, as the real table has some
        name, original = _draw_name(make_rng(twin, "again"), len(tracks)), parts[0][0][1]
        parts[2].append((name, original))
        previews[name] = original.preview
    for (table, _), rows in zip(TABLES, parts, strict=True):
        lines = [f"{name}\t{json.dumps(_tag_vector(track.arrangement))}\n" for name, track in rows]
        write_text(root / table, "".join(lines))
    with write_atomically(root / "MSD_id_to_7D_id.pkl") as temporary:
        temporary.write_bytes(pickle.dumps(previews, protocol=2))  # the last of Python 2


def _tag_vector(arrangement: Arrangement) -> list[float]:
    held = tags_of(arrangement)
    return [float(tag in held) for tag in TAGS]
