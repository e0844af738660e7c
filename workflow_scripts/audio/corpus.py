"""A prepared corpus: one flat int16 memory-map and what belongs to each clip.

Files in the folder: `audio.int16` (all clips one after the other, mono, little-endian), `clips.parquet` (clip, offset
and length in samples, split, group), `labels.parquet` (clip, one float32 column per class, NaN = unobserved),
`quarantine.csv` (clip, reason) and `corpus.json` (the fields of `Facts`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.audio.index import Split, Task
from workflow_scripts.audio.tolerance import require_tolerable

FULL_SCALE = 32768  # int16 sample value of amplitude 1.0


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What `corpus.json` states."""

    dataset: str
    task: Task
    classes: list[str]
    sample_rate: int  # Hz
    source: str  # twin, local or download
    clips: int
    seconds: float  # audio in the memory-map
    quarantined: int
    digest: str  # of audio, clips, labels and quarantine: equal digests, equal data


class Corpus:
    """Read access to a prepared corpus folder; audio stays on disk until asked for."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`, written by `prepare`; `UserError` if more is quarantined than the studies tolerate."""
        self.folder = folder
        self.facts = read_facts(folder)
        self.clips = pd.read_parquet(folder / "clips.parquet")

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels in clip order, float32 (clips, classes), NaN = unobserved."""
        return pd.read_parquet(self.folder / "labels.parquet").drop(columns="clip").to_numpy(np.float32)

    @cached_property
    def offsets(self) -> np.ndarray:
        """First sample of each clip in the memory-map, int64 (clips,)."""
        return self.clips["offset"].to_numpy(np.int64)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Samples in each clip, int64 (clips,)."""
        return self.clips["length"].to_numpy(np.int64)

    @cached_property
    def samples(self) -> np.ndarray:
        """All clips one after the other, int16 memory-map (samples,)."""
        return np.memmap(self.folder / "audio.int16", dtype="<i2", mode="r")

    def rows(self, split: Split) -> np.ndarray:
        """Row numbers of the clips of a split, int64, ascending."""
        return np.flatnonzero(self.clips["split"].to_numpy() == split)

    def fill(self, piece: np.ndarray, *, row: int, start: int) -> None:
        """Copy samples of clip `row` from `start` into `piece`, int16; what lies beyond its end stays as it is."""
        first = self.offsets[row] + start
        found = self.samples[first : first + min(len(piece), self.lengths[row] - start)]
        piece[: len(found)] = found

    def cut(self, row: int, *, start: int = 0, length: int | None = None) -> np.ndarray:
        """Samples `start` to `start + length` of clip `row`, float32 in [-1, 1); zeros beyond the end of the clip."""
        available = int(self.lengths[row]) - start
        length = available if length is None else length
        first = int(self.offsets[row]) + start
        audio = np.zeros(length, np.float32)
        piece = self.samples[first : first + max(0, min(available, length))]
        audio[: len(piece)] = piece
        audio /= FULL_SCALE
        return audio

    def cuts(self, rows: np.ndarray, *, starts: np.ndarray, length: int) -> np.ndarray:
        """One cut per row, float32 (rows, length)."""
        return np.stack(
            [self.cut(int(row), start=int(start), length=length) for row, start in zip(rows, starts, strict=True)]
        )


def read_facts(folder: Path) -> Facts:
    """Read the facts of a corpus; `UserError` if more of it is quarantined than the studies tolerate."""
    facts = Facts(**json.loads((folder / "corpus.json").read_text(encoding="utf-8")))
    require_tolerable(folder, dataset=facts.dataset, clips=facts.clips, quarantined=facts.quarantined)
    return facts


def facts_as_json(facts: Facts) -> dict[str, object]:
    """Return `facts` as written to `corpus.json`."""
    return asdict(facts)
