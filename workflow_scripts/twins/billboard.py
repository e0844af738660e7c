"""Twin of McGill Billboard: songs in the styles of the charts, and an index whose slots share a song or have none.

Layout: `billboard-2.0-index.csv` and `audio/<decade>s/<Artist>/<Title>/audio.mp3`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_text
from workflow_scripts.synthesis import names
from workflow_scripts.synthesis.arrangements import Arrangement, arrange
from workflow_scripts.synthesis.write import ClipSpec, add_defects, derive_seed, make_rng, write_clips

COLUMNS = ("id", "chart_date", "target_rank", "actual_rank", "title", "artist", "peak_rank", "weeks_on_chart")
STYLES = ("pop", "rock", "soul", "country", "disco", "funk", "blues", "folk")
YEARS = (1958, 1992)  # of the charts
ABSENT = 0.05  # songs without audio, relative to those with it; users have about half
REPEATED = 0.2  # slots filled by a song that fills another: 890 slots hold 740 songs
UNANNOTATED = 0.46  # slots that were never annotated, relative to the others: 410 to 890


@dataclass(frozen=True, kw_only=True)
class ChartSong:
    """One song of the index; without audio if `present` is false."""

    number: int
    artist: str
    title: str
    year: int
    present: bool


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files. `twin.clips` songs have audio."""
    songs = _draw_songs(twin)
    _write_index(root, songs, make_rng(twin, "slots"))
    clips = [
        ClipSpec(
            path=f"audio/{song.year // 10 * 10}s/{song.artist}/{song.title}/audio.mp3",
            recipe=_draw_recipe(make_rng(twin, "style", song.number)),
            seed=derive_seed(twin, "billboard", song.number),
        )
        for song in songs
        if song.present
    ]
    write_clips(root, add_defects(clips, twin), seconds=twin.clip_seconds, total=len(clips))


def _draw_recipe(rng: np.random.Generator) -> Arrangement:
    return arrange(rng, str(rng.choice(STYLES)))


def _draw_songs(twin: TwinOptions) -> list[ChartSong]:
    rng = make_rng(twin, "songs")
    absent = max(1, round(ABSENT * twin.clips))
    return [
        ChartSong(
            number=i,
            artist=names.invent_artist(rng)
            if rng.random() < 0.9
            else f"{names.invent_artist(rng)},{names.invent_artist(rng)}",
            title=f"{names.invent_title(rng)} No. {i + 1}",  # invented names repeat; songs must not
            year=int(rng.integers(*YEARS)),
            present=i < twin.clips,
        )
        for i in range(twin.clips + absent)
    ]


def _write_index(root: Path, songs: list[ChartSong], rng: np.random.Generator) -> None:
    repeated = rng.integers(0, len(songs), max(1, round(REPEATED * len(songs)))).tolist()
    annotated = [*songs, *(songs[i] for i in repeated)]
    slots: list[ChartSong | None] = [*annotated, *[None] * max(1, round(UNANNOTATED * len(annotated)))]
    rows: list[list[object]] = [list(COLUMNS)]
    for slot, place in enumerate(rng.permutation(len(slots)).tolist(), start=1):
        song, rank = slots[place], int(rng.integers(1, 100))
        date = f"{song.year if song else rng.integers(*YEARS)}-07-03"
        about = ["", "", "", "", ""] if song is None else [rank + 1, song.title, song.artist, rank, 8]
        rows.append([slot, date, rank, *about])
    write_text(root / "billboard-2.0-index.csv", names.format_csv(rows))
