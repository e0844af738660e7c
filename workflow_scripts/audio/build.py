"""Building a prepared corpus from a data set's index: see `corpus` for the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from workflow_scripts import provenance
from workflow_scripts.audio.corpus import Facts, facts_as_json
from workflow_scripts.audio.index import EXCLUDED_COLUMNS, DatasetIndex
from workflow_scripts.audio.pool import Task, decode_all
from workflow_scripts.errors import UserError
from workflow_scripts.files import write_json, write_text, written_atomically
from workflow_scripts.progress import track

OUTSIDE = "the file lies outside the folder of the data set"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the corpus is to be."""

    dataset: str
    source: str  # twin, local or download
    sample_rate: int  # Hz
    clip_seconds: float | None = None  # longest length kept, from the start of each clip; None: whole clips


@dataclass(frozen=True, kw_only=True)
class _Written:
    """What lies in the memory-map: `lengths` in samples, -1 where `reasons` has an entry instead."""

    lengths: np.ndarray
    reasons: dict[str, str]
    digest: str


def build(index: DatasetIndex, *, root: Path, output: Path, wanted: Wanted, processes: int) -> Facts:
    """Decode every clip of `index`, whose paths are relative to `root`, and write the corpus into the folder `output`.

    A clip that cannot be used goes to the quarantine. `corpus.json` is removed first and written last: where it is, the
    rest belongs to it. Equal input gives equal bytes, whatever `processes`. Raises `UserError` when no clip is left.
    """
    excluded = dict(zip(index.excluded["clip"].astype(str), index.excluded["reason"].astype(str), strict=True))
    excluded |= _outside(index.clips, root=root, source=wanted.source)
    usable = (~index.clips["clip"].isin(list(excluded))).to_numpy()
    clips, labels = index.clips[usable], index.labels[usable]
    if not len(clips):
        raise UserError(
            f"{wanted.dataset}: the index under {root} lists no usable clip: check the source and its options"
        )
    (output / "corpus.json").unlink(missing_ok=True)
    with written_atomically(output / "audio.int16") as temporary:
        written = _write_audio(temporary, clips, root=root, wanted=wanted, processes=processes)
    quarantine = _quarantine({**excluded, **written.reasons})
    kept = written.lengths >= 0
    table = _clip_table(clips[kept], written.lengths[kept])
    label_table = labels[kept].astype(np.float32).rename_axis("clip").reset_index()
    _write_parquet(output / "clips.parquet", table)
    _write_parquet(output / "labels.parquet", label_table)
    write_text(output / "quarantine.csv", quarantine.to_csv(index=False, lineterminator="\n"))
    facts = Facts(
        dataset=wanted.dataset,
        task=index.task,
        classes=[str(name) for name in labels.columns],
        sample_rate=wanted.sample_rate,
        source=wanted.source,
        clips=len(table),
        seconds=float(table["length"].sum()) / wanted.sample_rate,
        quarantined=len(quarantine),
        digest=provenance.digest(
            [wanted.sample_rate, index.task, written.digest, *map(_table_digest, (table, label_table, quarantine))]
        ),
    )
    write_json(output / "corpus.json", facts_as_json(facts))
    return facts


def _outside(clips: pd.DataFrame, *, root: Path, source: str) -> dict[str, str]:
    """Clips whose file would lie outside `root`: lists come from others and may name any file of this machine.

    Links are the owner's own arrangement in a local copy; nothing else holds any.
    """
    resolved = root.resolve()
    leaving = [
        path.is_absolute()
        or ".." in path.parts
        or (source != "local" and not (root / path).resolve().is_relative_to(resolved))
        for path in map(PurePosixPath, clips["path"].astype(str))
    ]
    return dict.fromkeys(clips["clip"][leaving].astype(str), OUTSIDE)


def _write_audio(path: Path, clips: pd.DataFrame, *, root: Path, wanted: Wanted, processes: int) -> _Written:
    """Append every clip that decodes to `path`, in the order of `clips`."""
    lengths = np.full(len(clips), -1, np.int64)
    reasons: dict[str, str] = {}
    digest = hashlib.sha256()
    names = clips["clip"].astype(str).to_list()
    results = decode_all(list(_tasks(clips, root=root, wanted=wanted)), processes=processes)
    with path.open("wb") as file:
        shown = track(results, description=f"preparing {wanted.dataset}", total=len(clips))
        for row, result in enumerate(shown):
            if result.samples is None:
                assert result.reason is not None
                reasons[names[row]] = result.reason
                continue
            lengths[row] = len(result.samples)
            data = result.samples.tobytes()
            digest.update(data)
            file.write(data)
    if len(reasons) == len(clips):
        commonest = pd.Series(reasons).value_counts().index[0]
        raise UserError(
            f"{wanted.dataset}: none of {len(clips)} clips under {root} can be used (most often: {commonest}): "
            "check the source and its path"
        )
    return _Written(lengths=lengths, reasons=reasons, digest=digest.hexdigest())


def _tasks(clips: pd.DataFrame, *, root: Path, wanted: Wanted) -> Iterator[Task]:
    columns = (clips[name].to_list() for name in ("path", "start_seconds", "end_seconds"))
    for path, start, end in zip(*columns, strict=True):
        yield Task(
            path=str((root / path).absolute()),
            sample_rate=wanted.sample_rate,
            start_seconds=None if pd.isna(start) else float(start),
            end_seconds=None if pd.isna(end) else float(end),
            longest_seconds=wanted.clip_seconds,
        )


def _clip_table(clips: pd.DataFrame, lengths: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"clip": clips["clip"].astype(str).to_numpy(object)})
    table["offset"] = np.cumsum(lengths) - lengths
    table["length"] = lengths
    for column in ("split", "group"):
        table[column] = clips[column].astype(str).to_numpy(object)
    return table


def _quarantine(reasons: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(sorted(reasons.items()), columns=list(EXCLUDED_COLUMNS), dtype=object)


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    with written_atomically(path) as temporary:
        table.to_parquet(temporary, index=False)


def _table_digest(table: pd.DataFrame) -> str:
    """Digest of a table's values, which does not change with the version of the parquet library."""
    return hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode(errors="surrogateescape")).hexdigest()
