"""Prepared corpora: the audio of a data set as one flat int16 memory map, with clips, labels and quarantine beside it.

Files in the folder: `audio.int16` (all clips one after the other, mono, little-endian), `clips.parquet` (clip, offset
and length in samples, split, group, the factor by which audio above full scale was scaled to fit, otherwise 1, and
defects with which a clip is used, keys of `decode.DEFECTS`), `labels.parquet` (clip, one float32 column per class, NaN
= unobserved), `quarantine.csv` (clip, reason) and `corpus.json` (the fields of `CorpusFacts`, and the checksums of all
files). A corpus with stems also has one file like `audio.int16` for each stem, such as `audio.vocals.int16`, of the
same length, scaled by the same factor and aligned sample by sample.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.audio.quarantine_limit import require_within_limit
from workflow_scripts.audio.samples import FULL_SCALE
from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import CHECKSUMS, read_record, require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import Split, Task


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """The content of `corpus.json`."""

    dataset: str
    task: Task
    classes: list[str]
    sample_rate: int  # Hz
    source: str  # twin, local or download
    clips: int
    seconds: float  # audio in the memory-map
    quarantined: int
    scaled: int  # clips with audio above full scale, scaled to fit
    defective: int  # clips used with a defect
    digest: str  # of audio, clips, labels, quarantine and stems; equal digests mean equal data
    content: str  # digest without the sample rate: corpora of equal content can be compared across encoders' rates
    stems: list[str] = field(default_factory=list)  # sources stored beside the mixture
    notes: list[str] = field(default_factory=list)  # on what is no clip and was passed over


class Corpus:
    """Read access to a prepared corpus folder; audio is read from disk on demand."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`, written by `prepare`.

        Raises `UserError` if the corpus is incomplete or not as `prepare` wrote it, or if more of it is quarantined
        than the studies tolerate. Files are compared with their checksums when they are first used.
        """
        self.folder = folder
        self.facts = read_facts(folder)
        self.clips = _read_table(folder / result_files.CLIPS)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels in clip order, float32 (clips, classes), NaN = unobserved."""
        return _read_table(self.folder / result_files.LABELS).drop(columns="clip").to_numpy(np.float32)

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
        """All clips one after the other, int16 memory map (samples,)."""
        return self._samples(result_files.audio_file())

    @cached_property
    def stems(self) -> dict[str, np.ndarray]:
        """Stems by name, each like `samples`."""
        return {name: self._samples(result_files.audio_file(name)) for name in self.facts.stems}

    def _samples(self, name: str) -> np.ndarray:
        path = self.folder / name
        require_unchanged(path)
        return np.memmap(path, dtype="<i2", mode="r")

    def rows(self, split: Split) -> np.ndarray:
        """Return the row numbers of the clips of a split, int64, ascending."""
        return np.flatnonzero(self.clips["split"].to_numpy() == split)

    def fill(self, piece: np.ndarray, *, row: int, start: int, stem: str | None = None) -> None:
        """Copy samples of clip `row`, or of one of its stems, from `start` on into `piece`, int16.

        Samples of `piece` beyond the end of the clip are left unchanged.
        """
        samples = self.samples if stem is None else self.stems[stem]
        first = self.offsets[row] + start
        available = samples[first : first + min(len(piece), self.lengths[row] - start)]
        piece[: len(available)] = available

    def cut(self, row: int, *, start: int = 0, length: int | None = None) -> np.ndarray:
        """Return samples `start` to `start + length` of clip `row`, float32 in [-1, 1); zeros beyond the clip's end."""
        available = int(self.lengths[row]) - start
        length = available if length is None else length
        first = int(self.offsets[row]) + start
        audio = np.zeros(length, np.float32)
        piece = self.samples[first : first + max(0, min(available, length))]
        audio[: len(piece)] = piece
        audio /= FULL_SCALE
        return audio

    def cut_rows(self, rows: np.ndarray, *, starts: np.ndarray, length: int) -> np.ndarray:
        """Return one cut per row, float32 (rows, length)."""
        return np.stack(
            [self.cut(int(row), start=int(start), length=length) for row, start in zip(rows, starts, strict=True)]
        )


def read_facts(folder: Path) -> CorpusFacts:
    """Read the facts of a corpus.

    Raises `UserError` if they are missing or changed, or if more is quarantined than the studies tolerate.
    """
    path = folder / result_files.CORPUS_FACTS
    if not path.is_file():
        raise UserError(f"{path} is missing: prepare the data set first, or correct the path of the corpus")
    content = read_record(path)
    try:
        facts = CorpusFacts(**{name: value for name, value in content.items() if name != CHECKSUMS})
    except TypeError as error:
        raise UserError(f"{path} has facts of another version: delete {folder} and run again") from error
    require_within_limit(folder, dataset=facts.dataset, clips=facts.clips, quarantined=facts.quarantined)
    return facts


def _read_table(path: Path) -> pd.DataFrame:
    require_unchanged(path)
    return pd.read_parquet(path)


def facts_to_json(facts: CorpusFacts) -> dict[str, object]:
    """Return `facts` as written to `corpus.json`; `stems` and `notes` are left out where there are none."""
    return {name: value for name, value in asdict(facts).items() if name not in ("stems", "notes") or value}


def label_column(name: str) -> str:
    """Return the column of a class in `labels.parquet`: its name, one underscore longer if it is `clip` or `clip_`."""
    return f"{name}_" if re.fullmatch("clip_*", name) else name
