"""Twin of FMA small or medium: tracks by invented artists, of eight equal or sixteen unequal genres.

Some tracks of medium are marked small, as in the real set. Layout: `fma_metadata/tracks.csv` and `fma_<subset>/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_text
from workflow_scripts.synthesis import names
from workflow_scripts.synthesis.genres import GENRES, SMALL, GenreRecipe
from workflow_scripts.synthesis.write import ClipSpec, add_defects, derive_seed, make_rng, write_clips

#: the 52 columns of the real table, by their outer name
COLUMNS: dict[str, tuple[str, ...]] = {
    "album": (
        "comments", "date_created", "date_released", "engineer", "favorites", "id", "information", "listens",
        "producer", "tags", "title", "tracks", "type",
    ),
    "artist": (
        "active_year_begin", "active_year_end", "associated_labels", "bio", "comments", "date_created", "favorites",
        "id", "latitude", "location", "longitude", "members", "name", "related_projects", "tags", "website",
        "wikipedia_page",
    ),
    "set": (
        "split", "subset",
    ),
    "track": (
        "bit_rate", "comments", "composer", "date_created", "date_recorded", "duration", "favorites", "genre_top",
        "genres", "genres_all", "information", "interest", "language_code", "license", "listens", "lyricist",
        "number", "publisher", "tags", "title",
    ),
}  # fmt: skip
#: tracks of each root genre in FMA medium
MEDIUM_COUNTS = {
    "Rock": 7103,
    "Electronic": 6314,
    "Experimental": 2251,
    "Hip-Hop": 2201,
    "Folk": 1519,
    "Instrumental": 1350,
    "Pop": 1186,
    "International": 1018,
    "Classical": 619,
    "Old-Time / Historic": 510,
    "Jazz": 384,
    "Country": 178,
    "Soul-RnB": 154,
    "Spoken": 118,
    "Blues": 74,
    "Easy Listening": 21,
}
SPLITS, SHARES = ("training", "validation", "test"), (0.8, 0.1, 0.1)
TRACKS_PER_ARTIST = 4  # at most; two or three on average
OTHER_SUBSETS_SHARE = 0.1  # share of further rows for tracks of other subsets, whose audio is not there
#: known bad clips of FMA small: the first without audio, the second cut from the wrong place
BAD_TRACKS = (99134, 98565)


@dataclass(frozen=True, kw_only=True)
class FmaTrack:
    """A row of the twin's tracks.csv."""

    track: int
    genre: str
    artist: int
    split: str
    subset: str


def write(root: Path, twin: TwinOptions, *, subset: str) -> None:
    """Write the twin of a subset below `root`; equal options give equal files."""
    tracks = _draw_tracks(twin, subset)
    _write_table(root, tracks + _draw_tracks_of_other_subsets(twin, tracks, subset), make_rng(twin, "titles"))
    clips = [
        ClipSpec(
            path=f"fma_{subset}/{track.track // 1000:03d}/{track.track:06d}.mp3",
            recipe=GenreRecipe(track.genre, derive_seed(twin, "artist")[1] + 1000 * twin.seed + track.artist),
            seed=derive_seed(twin, "fma", track.track),
            defect="silent" if track.track == BAD_TRACKS[0] else None,
        )
        for track in tracks
    ]
    write_clips(root, add_defects(clips, twin), seconds=twin.clip_seconds, total=len(clips))


def _draw_tracks(twin: TwinOptions, subset: str) -> list[FmaTrack]:
    rng = make_rng(twin, "tracks")
    ids = np.sort(rng.choice(np.setdiff1d(np.arange(2, 155_000), BAD_TRACKS), size=twin.clips, replace=False))
    if twin.defects:  # the known bad ids take the place of two others
        ids[: len(BAD_TRACKS)] = BAD_TRACKS[: len(ids)]
    rng.shuffle(ids)
    tracks: list[FmaTrack] = []
    artist, remaining = 0, iter(ids.tolist())
    for genre, count in _count_by_genre(twin.clips, subset).items():
        quota = _count_by_split(count)
        for split, size in zip(SPLITS, quota, strict=True):
            left = 0
            for _ in range(size):
                if left == 0:  # the next artist, who stays within genre and split
                    artist, left = artist + 1, int(rng.integers(1, TRACKS_PER_ARTIST + 1))
                left -= 1
                # as in the real set a third of medium is marked small, which is where a careless reader loses it
                marked = "small" if subset == "small" or (genre in SMALL and rng.random() < 0.35) else "medium"
                tracks.append(FmaTrack(track=next(remaining), genre=genre, artist=artist, split=split, subset=marked))
    return tracks


def _count_by_genre(clips: int, subset: str) -> dict[str, int]:
    """Count the clips of each genre: equal in small, proportional to the square root of the real counts in medium.

    In proportion to the counts themselves, a twin of a few hundred clips would lose half its genres; the order of sizes
    is kept.
    """
    weights = dict.fromkeys(SMALL, 1.0) if subset == "small" else {g: n**0.5 for g, n in MEDIUM_COUNTS.items()}
    bounds = np.round(np.cumsum(list(weights.values())) / sum(weights.values()) * clips).astype(int)
    return {genre: int(count) for genre, count in zip(weights, np.diff(bounds, prepend=0), strict=True)}


def _count_by_split(count: int) -> tuple[int, int, int]:
    """Count the clips of a genre in training, validation and test; with three or more each split has one."""
    valid, test = (max(round(share * count), min(1, count // 3)) for share in SHARES[1:])
    return count - valid - test, valid, test


def _draw_tracks_of_other_subsets(twin: TwinOptions, tracks: list[FmaTrack], subset: str) -> list[FmaTrack]:
    """Draw rows of larger subsets: without audio here, often without a root genre."""
    rng, taken = make_rng(twin, "elsewhere"), {track.track for track in tracks} | set(BAD_TRACKS)
    others = [i for i in rng.permutation(np.arange(2, 155_000))[: 3 * twin.clips + 100].tolist() if i not in taken]
    subsets = ("medium", "large", "full") if subset == "small" else ("large", "full")
    return [
        FmaTrack(
            track=track,
            genre=str(rng.choice([*GENRES, ""])),
            artist=1_000_000 + i,
            split=str(rng.choice(SPLITS)),
            subset=str(rng.choice(subsets)),
        )
        for i, track in enumerate(others[: max(2, round(OTHER_SUBSETS_SHARE * twin.clips))])
    ]


def _write_table(root: Path, tracks: list[FmaTrack], rng: np.random.Generator) -> None:
    pairs = [(outer, inner) for outer, inners in COLUMNS.items() for inner in inners]
    rows: list[list[object]] = [
        ["", *(outer for outer, _ in pairs)],
        ["", *(inner for _, inner in pairs)],
        ["track_id", *("" for _ in pairs)],
    ]
    genre_ids = {genre: 10 + i for i, genre in enumerate(GENRES)}
    for track in sorted(tracks, key=lambda track: track.track):
        known = {
            ("album", "title"): names.invent_title(rng),
            ("artist", "bio"): "<p>Plays music,\nas the name says.</p>",  # real fields hold commas and line breaks
            ("artist", "id"): track.artist,
            ("artist", "name"): names.invent_artist(rng),
            ("set", "split"): track.split,
            ("set", "subset"): track.subset,
            ("track", "bit_rate"): 256000,
            ("track", "duration"): int(rng.integers(60, 400)),
            ("track", "genre_top"): track.genre,
            ("track", "genres"): f"[{genre_ids[track.genre]}]" if track.genre else "[]",
            ("track", "genres_all"): f"[{genre_ids[track.genre]}]" if track.genre else "[]",
            ("track", "license"): "Attribution",
            ("track", "title"): names.invent_title(rng),
        }
        rows.append([track.track, *(known.get(pair, "") for pair in pairs)])
    write_text(root / "fma_metadata" / "tracks.csv", names.format_csv(rows))
