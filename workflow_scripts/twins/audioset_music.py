"""Twin of AudioSet's Music clips: ensembles, genres and dances in one unlabelled mixture.

Some segments are not music, some have no audio. Layout: the three segment lists, and
`clips/<folder of a thousand>/<YouTube id>_<start in ms>.ogg`, as download tools name them.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.files import write_text
from workflow_scripts.synthesis.dances import DANCES, DanceRecipe, tempo_at_quantile
from workflow_scripts.synthesis.genres import GENRES, GenreRecipe
from workflow_scripts.synthesis.instruments import OPENMIC, EnsembleRecipe
from workflow_scripts.synthesis.score import Part, Piece
from workflow_scripts.synthesis.write import ClipRecipe, ClipSpec, add_defects, derive_seed, make_rng, write_clips

MUSIC, SPEECH, GUITAR = "/m/04rlf", "/m/09x0r", "/m/0342h"
#: list and its share of the segments; the real shares are 1 %, 1 % and 98 %
LISTS = (("eval_segments", 0.02), ("balanced_train_segments", 0.02), ("unbalanced_train_segments", 0.96))
ABSENT = 0.05  # music segments without a file, relative to those with one
SPOKEN = 0.03  # segments that are not music but have a file
#: programs of General MIDI: fret noise, breath, sea, bird, telephone, ...
SOUND_EFFECTS = (120, 121, 122, 123, 124, 125, 126, 127)


@dataclass(frozen=True, kw_only=True)
class TwinSegment:
    """One row of a list, and whether its audio exists."""

    number: int
    ytid: str
    start: int  # seconds
    labels: tuple[str, ...]
    present: bool


@dataclass(frozen=True)
class Effects:
    """Recipe of a clip that is not music: a few sound effects at random times."""

    def __call__(self, rng: np.random.Generator, *, seconds: float) -> Piece:
        """Compose; there is no beat."""
        count = max(1, int(seconds))
        notes = np.stack(
            [rng.uniform(0, seconds, count), rng.uniform(0.5, 3, count), rng.integers(40, 80, count), np.ones(count)],
            axis=1,
        )
        return Piece(parts=(Part(program=int(rng.choice(SOUND_EFFECTS)), notes=notes),), start=0.0, noise=-20.0)


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files. `twin.clips` Music clips have audio."""
    segments = _draw_segments(twin)
    _write_lists(root, segments, twin)
    present = [segment for segment in segments if segment.present]
    clips = [
        ClipSpec(
            path=f"clips/{segment.number // 1000:03d}/{segment.ytid}_{segment.start * 1000}.ogg",
            recipe=_draw_recipe(make_rng(twin, "style", segment.number)) if MUSIC in segment.labels else Effects(),
            seed=derive_seed(twin, "audioset", segment.number),
        )
        for segment in present
    ]
    write_clips(root, add_defects(clips, twin), seconds=twin.clip_seconds, total=len(clips))


def _draw_segments(twin: TwinOptions) -> list[TwinSegment]:
    rng = make_rng(twin, "segments")
    kinds = [
        *[((MUSIC,), True)] * twin.clips,
        *[((MUSIC,), False)] * max(1, round(ABSENT * twin.clips)),
        *[((SPEECH,), True)] * max(1, round(SPOKEN * twin.clips)),
        *[((SPEECH,), False)] * max(1, round(ABSENT * twin.clips)),
        *[((GUITAR,), False)] * max(1, round(ABSENT * twin.clips)),  # below Music, without the label itself
    ]
    return [
        TwinSegment(
            number=i,
            ytid=_make_ytid(twin.seed, i),
            start=10 * int(rng.integers(0, 40)),
            labels=(*labels, GUITAR) if labels == (MUSIC,) and rng.random() < 0.3 else labels,
            present=present,
        )
        for i, (labels, present) in enumerate(kinds)
    ]


def _make_ytid(seed: int, number: int) -> str:
    """Make an id of eleven letters, digits, minus or underscore; every fiftieth starts with a minus to test readers."""
    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=9).digest()
    ytid = base64.urlsafe_b64encode(digest).decode()[:11]
    return f"-{ytid[1:]}" if number % 50 == 0 else ytid


def _draw_recipe(rng: np.random.Generator) -> ClipRecipe:
    """Draw an ensemble, a genre or a dance, equally likely; none of the songs occurs in another twin."""
    kind = rng.integers(3)
    if kind == 0:
        sounding = rng.permutation(list(OPENMIC))[: rng.integers(1, 5)].tolist()
        return EnsembleRecipe(tuple(sounding), bool(rng.random() < 0.3))
    if kind == 1:
        return GenreRecipe(str(rng.choice(list(GENRES))), int(rng.integers(2**31)))
    dance, seed = str(rng.choice(list(DANCES))), int(rng.integers(2**31))
    return DanceRecipe(dance, tempo_at_quantile(dance, rng.random()), song_seed=seed, band_seed=seed + 1)


def _write_lists(root: Path, segments: list[TwinSegment], twin: TwinOptions) -> None:
    order = make_rng(twin, "lists").permutation(len(segments))
    bounds = np.round(np.cumsum([share for _, share in LISTS]) * len(segments)).astype(int)
    for (name, _), numbers in zip(LISTS, np.split(order, bounds[:-1]), strict=True):
        rows = [segments[i] for i in numbers]
        distinct = {label for row in rows for label in row.labels}
        lines = [
            "# Segments csv created Sun Mar  5 10:54:25 2017",
            f"# num_ytids={len(rows)}, num_segs={len(rows)}, num_unique_labels={len(distinct)},"
            f" num_positive_labels={sum(len(row.labels) for row in rows)}",
            "# YTID, start_seconds, end_seconds, positive_labels",
        ]
        lines += [f'{row.ytid}, {row.start}.000, {row.start + 10}.000, "{",".join(row.labels)}"' for row in rows]
        write_text(root / f"{name}.csv", "\n".join(lines) + "\n")
