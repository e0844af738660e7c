"""A prepared corpus: one flat int16 memory-map and what belongs to each clip.

Files in the folder: `audio.int16` (all clips one after the other, mono, little-endian), `clips.parquet` (clip, offset
and length in samples, split, group), `labels.parquet` (clip, one float32 column per class, NaN = unobserved),
`quarantine.csv` (clip, reason) and `corpus.json` (the fields of `CorpusFacts`). A corpus with stems also has one file like
`audio.int16` for each, such as `audio.vocals.int16`, of the same length: a sample of the mixture and that of a stem at
the same place belong together.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.audio.quarantine_limit import require_within_limit
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import Split, Task

FULL_SCALE = 32768  # int16 sample value of amplitude 1.0
BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What `corpus.json` states."""

    dataset: str
    task: Task
    classes: list[str]
    sample_rate: int  # Hz
    source: str  # twin, local or download
    clips: int
    seconds: float  # audio in the memory-map
    quarantined: int
    digest: str  # of audio, clips, labels, quarantine and stems: equal digests, equal data
    content: str  # the same without the sample rate: equal contents can be compared, whatever rate an encoder hears
    stems: list[str] = field(default_factory=list)  # sources whose audio is there beside the mixture's


class Corpus:
    """Read access to a prepared corpus folder; audio stays on disk until asked for."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`, written by `prepare`.

        Raises `UserError` if it is no whole corpus or if more of it is quarantined than the studies tolerate.
        """
        self.folder = folder
        self.facts = read_facts(folder)
        self.clips = _read_table(folder / "clips.parquet")

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels in clip order, float32 (clips, classes), NaN = unobserved."""
        return _read_table(self.folder / "labels.parquet").drop(columns="clip").to_numpy(np.float32)

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
        """All clips one after the other, int16 memory-map (samples,); `UserError` if it is not as long as they are."""
        return self._samples(audio_file_name())

    @cached_property
    def stems(self) -> dict[str, np.ndarray]:
        """Stems by name, each as `samples`."""
        return {name: self._samples(audio_file_name(name)) for name in self.facts.stems}

    def _samples(self, name: str) -> np.ndarray:
        path = self.folder / name
        if not path.is_file() or path.stat().st_size != BYTES_PER_SAMPLE * self.lengths.sum():  # half copied, say
            raise _damaged_file_error(path)
        return np.memmap(path, dtype="<i2", mode="r")

    def rows(self, split: Split) -> np.ndarray:
        """Row numbers of the clips of a split, int64, ascending."""
        return np.flatnonzero(self.clips["split"].to_numpy() == split)

    def fill(self, piece: np.ndarray, *, row: int, start: int, stem: str | None = None) -> None:
        """Copy samples of clip `row`, or of a stem of it, from `start` into `piece`, int16.

        What lies beyond the clip's end stays as it is.
        """
        samples = self.samples if stem is None else self.stems[stem]
        first = self.offsets[row] + start
        found = samples[first : first + min(len(piece), self.lengths[row] - start)]
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


def read_facts(folder: Path) -> CorpusFacts:
    """Read the facts of a corpus; `UserError` if there are none or more is quarantined than the studies tolerate."""
    path = folder / "corpus.json"
    try:
        facts = CorpusFacts(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{path} is missing: prepare the data set first, or correct the corpus's folder") from error
    except (ValueError, TypeError) as error:  # TypeError: fields of another version
        raise _damaged_file_error(path) from error
    require_within_limit(folder, dataset=facts.dataset, clips=facts.clips, quarantined=facts.quarantined)
    return facts


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except PermissionError:
        raise
    except (OSError, ValueError) as error:  # either, depending on where the file is damaged
        raise _damaged_file_error(path) from error


def _damaged_file_error(path: Path) -> UserError:
    return UserError(f"{path} is missing, damaged or of another version: delete {path.parent} and prepare it again")


def facts_to_json(facts: CorpusFacts) -> dict[str, object]:
    """Return `facts` as written to `corpus.json`; of stems it speaks where there are any."""
    return {name: value for name, value in asdict(facts).items() if name != "stems" or value}


def audio_file_name(stem: str | None = None) -> str:
    """Name of the file with the clips' audio, or with that of a stem."""
    return "audio.int16" if stem is None else f"audio.{stem}.int16"
