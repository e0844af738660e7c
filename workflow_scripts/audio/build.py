"""Construction of a prepared corpus from a data set's index; `corpus` describes the files."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from workflow_scripts.audio.corpus import CorpusFacts, facts_to_json, label_column
from workflow_scripts.audio.decoder_pool import DecodeResult, DecodeTask, decode_all
from workflow_scripts.audio.doubles import digest_samples, join_groups
from workflow_scripts.audio.quarantine_limit import read_needed_splits, require_splits
from workflow_scripts.core import provenance, result_files
from workflow_scripts.core.checksums import checksums, remember_checksum, write_record
from workflow_scripts.core.csv_files import csv_text
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import write_atomically, write_text
from workflow_scripts.core.progress import track
from workflow_scripts.levels.dataset_index import EXCLUDED_COLUMNS, DatasetIndex, Stem, Task, describe_lack_of_classes

OUTSIDE_ROOT = "the file lies outside the folder of the data set"
#: tolerated difference in length between a stem and its mixture: codecs pad each stream on its own
MAX_STEM_DIFFERENCE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """Settings of a corpus to be built."""

    dataset: str
    source: str  # twin, local or download
    sample_rate: int  # Hz
    clip_seconds: float | None = None  # longest part kept, from the start of each clip; None: whole clips
    files: str = ""  # digest of the audio files
    notes: tuple[str, ...] = ()  # on files that are no clips


@dataclass(frozen=True, kw_only=True)
class _WrittenAudio:
    """Content of the written memory maps: `lengths` in samples, -1 for the clips that have an entry in `reasons`.

    `digests` are those of the mixture and of each stem, `factors` and `defects` those of each clip with its stems,
    `sounds` the digests of the test clips, empty for the others.
    """

    lengths: np.ndarray
    factors: np.ndarray
    defects: list[str]
    reasons: dict[str, str]
    digests: list[str]
    sounds: list[bytes]


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """Tables of a corpus: used clips, their labels, and the clips left out."""

    clips: pd.DataFrame
    labels: pd.DataFrame
    quarantine: pd.DataFrame


def build_corpus(index: DatasetIndex, *, root: Path, output: Path, spec: CorpusSpec, processes: int) -> CorpusFacts:
    """Decode every clip of `index`, whose paths are relative to `root`, and write the corpus into the folder `output`.

    A clip goes to the quarantine if it or one of its stems cannot be used. `corpus.json` is removed first and written
    last, so that its presence means a complete corpus. Equal input gives equal bytes, whatever `processes`. Raises
    `UserError` if no clip is left.
    """
    # index: leave out clips whose entries make them unusable
    excluded = dict(zip(index.excluded["clip"].astype(str), index.excluded["reason"].astype(str), strict=True))
    for paths in (index.clips["path"], *(pd.Series(stem.paths) for stem in index.stems.values())):
        excluded |= _find_clips_outside(index.clips["clip"], paths, root=root, source=spec.source)
    usable = (~index.clips["clip"].isin(list(excluded))).to_numpy()
    clips, labels = index.clips[usable], index.labels[usable]
    stems = {name: Stem(paths=stem.paths[usable], stream=stem.stream) for name, stem in index.stems.items()}
    if not len(clips):
        raise UserError(
            f"{spec.dataset}: the index under {root} lists no usable clip: check the source and its options"
        )

    # audio: a memory map of the mixtures and one of each stem
    (output / result_files.CORPUS_FACTS).unlink(missing_ok=True)
    with contextlib.ExitStack() as stack:
        temporary = [
            stack.enter_context(write_atomically(output / result_files.audio_file(name))) for name in (None, *stems)
        ]
        written = _write_audio(temporary, clips, stems, root=root, spec=spec, processes=processes)

    # tables
    rows = written.lengths >= 0
    _require_needed(spec.dataset, clips, reasons=written.reasons, task=index.task, labels=labels[rows])
    tables = _Tables(
        clips=_make_clip_table(clips, written),
        labels=_make_label_table(labels[rows]),
        quarantine=_make_quarantine_table({**excluded, **written.reasons}),
    )
    _write_parquet(output / result_files.CLIPS, tables.clips)
    _write_parquet(output / result_files.LABELS, tables.labels)
    quarantine = csv_text(tables.quarantine)
    write_text(output / result_files.QUARANTINE, quarantine)

    # facts, whose presence means a complete corpus, with the checksums of all files
    facts = _corpus_facts(index, tables, spec, audio_digests=written.digests)
    of_files = dict(zip(map(result_files.audio_file, (None, *stems)), written.digests, strict=True))
    for name, digest in of_files.items():
        remember_checksum(output / name, digest)
    names = (result_files.CLIPS, result_files.LABELS, result_files.QUARANTINE)
    of_files |= checksums(*(output / name for name in names))
    write_record(output / result_files.CORPUS_FACTS, facts_to_json(facts), files=of_files)
    return facts


def _require_needed(
    dataset: str, clips: pd.DataFrame, *, reasons: Mapping[str, str], task: Task, labels: pd.DataFrame
) -> None:
    """Raise `UserError` if the quarantine leaves too little of what the studies need, before hours of pre-training."""
    splits = dict(zip(clips["clip"].astype(str), clips["split"].astype(str), strict=True))
    require_splits(dataset, splits=splits, reasons=reasons)
    lack = describe_lack_of_classes(task, [str(name) for name in labels.columns], labels.to_numpy())
    if lack and "test" in read_needed_splits(dataset):
        raise UserError(f"{dataset}: {lack} ({len(reasons)} clips are quarantined)")


def _corpus_facts(
    index: DatasetIndex, tables: _Tables, spec: CorpusSpec, *, audio_digests: Sequence[str]
) -> CorpusFacts:
    stems = list(index.stems)
    digests = [_digest_table(table) for table in (tables.clips, tables.labels, tables.quarantine)]
    source_clips = _digest_table(tables.clips.drop(columns=["offset", "length", "factor"]))
    return CorpusFacts(
        dataset=spec.dataset,
        task=index.task,
        classes=[str(name) for name in index.labels.columns],
        sample_rate=spec.sample_rate,
        source=spec.source,
        clips=len(tables.clips),
        seconds=float(tables.clips["length"].sum()) / spec.sample_rate,
        quarantined=len(tables.quarantine),
        scaled=int((tables.clips["factor"] < 1).sum()),
        defective=int((tables.clips["defects"] != "").sum()),
        # of the bytes of this corpus
        digest=provenance.digest(
            [spec.sample_rate, index.task, audio_digests[0], *digests, *audio_digests[1:]],
        ),
        # of its content, whatever the sample rate
        content=provenance.digest(
            [spec.files, spec.clip_seconds, index.task, sorted(stems), source_clips, *digests[1:]],
        ),
        stems=stems,
        notes=[*index.notes, *spec.notes],
    )


def _find_clips_outside(clips: pd.Series, paths: pd.Series, *, root: Path, source: str) -> dict[str, str]:
    """Find the clips whose file would be outside `root`; a published list may name any file of this machine.

    Symbolic links are followed in a local copy, where its owner made them; twins and downloads contain none.
    """
    resolved = root.resolve()
    is_outside = [
        path.is_absolute()
        or ".." in path.parts
        or (source != "local" and not _resolve(root / path).is_relative_to(resolved))
        for path in map(PurePosixPath, paths.astype(str))
    ]
    return dict.fromkeys(clips[is_outside].astype(str), OUTSIDE_ROOT)


def _resolve(path: Path) -> Path:
    """Resolve links; a path that no file system can hold leads nowhere, and decoding states why."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links, a NUL
        return path.absolute()


def _write_audio(
    paths: Sequence[Path],
    clips: pd.DataFrame,
    stems: Mapping[str, Stem],
    *,
    root: Path,
    spec: CorpusSpec,
    processes: int,
) -> _WrittenAudio:
    """Append every usable clip to the first of `paths` and its stems to the others, in the order of `clips`."""
    # start decoding; mixtures and stems arrive in the order of the tasks
    lengths = np.full(len(clips), -1, np.int64)
    factors = np.ones(len(clips))
    defects = [""] * len(clips)
    sounds, is_test = [b""] * len(clips), (clips["split"] == "test").to_list()
    reasons: dict[str, str] = {}
    digests = [hashlib.sha256() for _ in paths]
    names = clips["clip"].astype(str).to_list()
    tasks = list(_list_tasks(clips, stems, root=root, spec=spec))
    results = iter(
        track(decode_all(tasks, processes=processes), description=f"preparing {spec.dataset}", total=len(tasks))
    )

    # append each clip, or state the reason against it
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for row, name in enumerate(names):
            mixture, *sources = islice(results, len(paths))
            by_stem = dict(zip(stems, sources, strict=True))
            reason = mixture.reason or _find_stem_fault(mixture, by_stem, spec.sample_rate)
            if reason is not None:
                reasons[name] = reason
                continue
            assert mixture.samples is not None
            lengths[row] = len(mixture.samples)
            factors[row] = min(result.factor for result in (mixture, *sources))
            defects[row] = _describe_defects(mixture, by_stem)
            sounds[row] = digest_samples(mixture.samples) if is_test[row] else b""
            for result, file, digest in zip((mixture, *sources), files, digests, strict=True):
                samples = _scale(result, factors[row])
                data = _fit_length(samples, len(mixture.samples)).tobytes()
                digest.update(data)
                file.write(data)

    # a corpus needs a clip
    if len(reasons) == len(clips):
        commonest = pd.Series(reasons).value_counts().index[0]
        raise UserError(
            f"{spec.dataset}: none of {len(clips)} clips under {root} can be used (most often: {commonest}): "
            "check the source and its path"
        )
    return _WrittenAudio(
        lengths=lengths,
        factors=factors,
        defects=defects,
        reasons=reasons,
        digests=[digest.hexdigest() for digest in digests],
        sounds=sounds,
    )


def _list_tasks(
    clips: pd.DataFrame, stems: Mapping[str, Stem], *, root: Path, spec: CorpusSpec
) -> Iterator[DecodeTask]:
    """Yield the task of each clip, followed by those of its stems."""
    columns = (clips[name].to_list() for name in ("path", "start_seconds", "end_seconds"))
    for row, (path, start, end) in enumerate(zip(*columns, strict=True)):
        task = DecodeTask(
            path=str((root / path).absolute()),
            sample_rate=spec.sample_rate,
            start_seconds=None if pd.isna(start) else float(start),
            end_seconds=None if pd.isna(end) else float(end),
            max_seconds=spec.clip_seconds,
        )
        yield task
        for stem in stems.values():  # a source may be silent throughout a clip
            stem_path = str((root / str(stem.paths[row])).absolute())
            yield replace(task, path=stem_path, stream=stem.stream, may_be_silent=True)


def _find_stem_fault(mixture: DecodeResult, sources: Mapping[str, DecodeResult], sample_rate: int) -> str | None:
    """Return the first fault of the stems of a clip, or None."""
    assert mixture.samples is not None
    for name, source in sources.items():
        if source.samples is None:
            return f"stem {name}: {source.reason}"
        seconds = (len(source.samples) - len(mixture.samples)) / sample_rate
        if abs(seconds) > MAX_STEM_DIFFERENCE_SECONDS:
            return f"stem {name}: {abs(seconds):.1f} s {'longer' if seconds > 0 else 'shorter'} than the mixture"
    return None


def _describe_defects(mixture: DecodeResult, sources: Mapping[str, DecodeResult]) -> str:
    """Return the defects of a clip and of its stems as one text, empty if there are none."""
    of_stems = [f"stem {name}: {defect}" for name, source in sources.items() for defect in source.defects]
    return "; ".join([*mixture.defects, *of_stems])


def _scale(result: DecodeResult, factor: float) -> np.ndarray:
    """Return the samples scaled by `factor` in all; a clip and its stems share it, so that they still add up."""
    assert result.samples is not None
    if factor == result.factor:
        return result.samples
    return np.rint(result.samples * (factor / result.factor)).astype("<i2")


def _fit_length(samples: np.ndarray, length: int) -> np.ndarray:
    """Return the first `length` samples, padded with silence."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def _make_clip_table(clips: pd.DataFrame, written: _WrittenAudio) -> pd.DataFrame:
    """Build the table of the clips that have audio; test clips of one recording are in one group.

    They are no independent evidence, and groups are resampled to redraw the test set.
    """
    rows = written.lengths >= 0
    lengths = written.lengths[rows]
    table = pd.DataFrame({"clip": clips["clip"][rows].astype(str).to_numpy(object)})
    table["offset"] = np.cumsum(lengths) - lengths
    table["length"] = lengths
    table["split"] = clips["split"][rows].astype(str).to_numpy(object)
    table["group"] = np.array(join_groups(clips["group"].astype(str).to_list(), written.sounds), object)[rows]
    table["factor"] = written.factors[rows]
    table["defects"] = np.array(written.defects, object)[rows]
    return table


def _make_label_table(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the clips and a column for each class, whatever the classes are called."""
    table = labels.astype(np.float32).set_axis([label_column(str(name)) for name in labels.columns], axis=1)
    table.insert(0, "clip", labels.index)
    return table.reset_index(drop=True)


def _make_quarantine_table(reasons: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(sorted(reasons.items()), columns=list(EXCLUDED_COLUMNS), dtype=object)


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    with write_atomically(path) as temporary:
        table.to_parquet(temporary, index=False)


def _digest_table(table: pd.DataFrame) -> str:
    """Compute the digest of a table's values; it does not depend on the version of the parquet library."""
    return hashlib.sha256(table.to_csv(index=False, lineterminator="\n").encode(errors="surrogateescape")).hexdigest()
