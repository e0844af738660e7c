"""Twin of GTZAN: ten genres by instruments, harmony and groove, under the real names, so that the real list splits it.

Layout: `genres/<genre>/<genre>.<five digits>.wav`, mono, 16 bit, 22,050 Hz; a few files the list does not name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import write_atomically
from workflow_scripts.datasets.gtzan import read_list
from workflow_scripts.synthesis.arrangements import arrange
from workflow_scripts.synthesis.write import ClipSpec, add_defects, derive_seed, make_rng, write_clips

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
PER_GENRE = 100  # files of the real set, faulty ones included
FAULTY = 0.075  # files that the fault filter leaves out, relative to the others: 70 to 930
#: unreadable in the copy that circulates; the list has it in training
BROKEN_CLIP = ("jazz", "jazz.00054")


def write(root: Path, twin: TwinOptions) -> None:
    """Write the twin below `root`; equal options give equal files. `twin.clips` listed clips have audio.

    Raises `UserError` for more clips than the real list has.
    """
    rng = make_rng(twin, "clips")
    listed, faulty = _specify(_draw_listed(rng, twin), twin), _specify(_draw_faulty(rng, twin), twin)
    clips = [*add_defects(listed, twin), *faulty]
    write_clips(root, clips, seconds=twin.clip_seconds, total=len(clips))
    if twin.defects:
        genre, clip = BROKEN_CLIP
        with write_atomically(root / "genres" / genre / f"{clip}.wav") as temporary:
            temporary.write_bytes(bytes(1000))  # no header, no sound


def _specify(names: list[tuple[str, str]], twin: TwinOptions) -> list[ClipSpec]:
    return [
        ClipSpec(
            path=f"genres/{genre}/{clip}.wav",
            recipe=arrange(make_rng(twin, "style", clip), genre),
            seed=derive_seed(twin, "gtzan", clip),
        )
        for genre, clip in names
    ]


def _draw_listed(rng: np.random.Generator, twin: TwinOptions) -> list[tuple[str, str]]:
    """Draw genre and name of listed clips, at any number in the list's proportions of genre and split."""
    table = read_list()
    if twin.defects:
        table = table[table["clip"] != BROKEN_CLIP[1]]  # written separately
    if twin.clips > len(table):
        raise UserError(f"the twin of gtzan has at most {len(table)} clips, those of the real list, not {twin.clips}")
    order = rng.permutation(len(table))
    table = table.iloc[order].reset_index(drop=True)
    cell = table.groupby(["genre", "split"])["clip"]
    table["place"] = (cell.cumcount() + 0.5) / cell.transform("size")  # spreads each cell evenly over 0 to 1
    chosen = table.sort_values(["place", "clip"]).head(twin.clips)
    return sorted(zip(chosen["genre"], chosen["clip"], strict=True))


def _draw_faulty(rng: np.random.Generator, twin: TwinOptions) -> list[tuple[str, str]]:
    listed = set(read_list()["clip"])
    names = [(genre, f"{genre}.{i:05d}") for genre in GENRES for i in range(PER_GENRE)]
    faulty = [(genre, name) for genre, name in names if name not in listed]
    count = max(1, round(FAULTY * twin.clips))
    return sorted(faulty[i] for i in rng.permutation(len(faulty))[:count])
