"""Tiny prepared corpora of synthetic tones, in the format that `prepare` writes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.audio.corpus import Corpus, CorpusFacts, facts_to_json
from workflow_scripts.audio.samples import FULL_SCALE
from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import checksums, write_record
from workflow_scripts.levels.dataset_index import Task

SPLITS = ("train", "train", "train", "valid", "test")  # repeated over the clips: 60/20/20


def write_corpus(
    folder: Path,
    *,
    clips: int = 20,
    seconds: float | list[float] = 1.0,
    classes: int = 3,
    task: Task = "multiclass",
    seed: int = 0,
    sample_rate: int = 16000,
    stems: Sequence[str] = (),
) -> Corpus:
    """Write a corpus of noisy harmonic tones into `folder` and open it.

    Clip i has class i % classes, which determines its pitch, so classes can be learned, and split `SPLITS[i % 5]`.
    `seconds` is the length of all clips, or a list with one length per clip. In the multilabel task every third label
    is unobserved. With `stems`, each clip is the sum of one tone per stem, each with three times the pitch of the
    previous one.
    """
    rng = np.random.default_rng(seed)
    lengths = [round(sample_rate * s) for s in (seconds if isinstance(seconds, list) else [seconds] * clips)]
    ids = [f"clip{number:04d}" for number in range(clips)]
    label = np.arange(clips) % max(classes, 1)
    parts = {
        name: [
            _synthesise_tone(rng, length, pitch=110.0 * 2 ** label[i] * 3.0**number, rate=sample_rate)
            / max(len(stems), 1)
            for i, length in enumerate(lengths)
        ]
        for number, name in enumerate(stems or [""])
    }
    tracks = {name: np.concatenate(audio).astype("<i2") for name, audio in parts.items()}
    table = pd.DataFrame(
        {
            "clip": ids,
            "offset": np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
            "length": np.array(lengths, np.int64),
            "split": [SPLITS[number % len(SPLITS)] for number in range(clips)],
            "group": ids,
        }
    )
    samples = np.sum(list(tracks.values()), axis=0, dtype="<i2")
    folder.mkdir(parents=True, exist_ok=True)
    samples.tofile(folder / result_files.audio_file())
    for name in stems:
        tracks[name].tofile(folder / result_files.audio_file(name))
    table.to_parquet(folder / "clips.parquet")
    _build_label_table(label, classes=classes, task=task).assign(clip=ids).to_parquet(folder / "labels.parquet")
    (folder / "quarantine.csv").write_text("clip,reason\n")
    facts = CorpusFacts(
        dataset=folder.name,
        task=task,
        classes=[f"class{c}" for c in range(classes)] if task != "unlabelled" else [],
        sample_rate=sample_rate,
        source="twin",
        clips=clips,
        seconds=len(samples) / sample_rate,
        quarantined=0,
        scaled=0,
        defective=0,
        digest=hashlib.sha256(samples.tobytes()).hexdigest()[:16],
        content=hashlib.sha256(folder.name.encode()).hexdigest()[:16],
        stems=list(stems),
    )
    names = [*map(result_files.audio_file, (None, *stems)), "clips.parquet", "labels.parquet", "quarantine.csv"]
    of_files = checksums(*(folder / name for name in names))
    write_record(folder / result_files.CORPUS_FACTS, facts_to_json(facts), files=of_files)
    return Corpus(folder)


def _synthesise_tone(rng: np.random.Generator, length: int, *, pitch: float, rate: int) -> np.ndarray:
    """Synthesise three harmonics with random phases and a little noise, as int16 values."""
    time = np.arange(length) / rate
    partials = [np.sin(2 * np.pi * (pitch * k * time + rng.random())) / k for k in (1, 2, 3)]
    wave = 0.2 * np.sum(partials, axis=0) + 0.02 * rng.standard_normal(length)
    return np.round(np.clip(wave, -1, 1 - 1 / FULL_SCALE) * FULL_SCALE)


def _build_label_table(label: np.ndarray, *, classes: int, task: Task) -> pd.DataFrame:
    if task == "unlabelled":
        return pd.DataFrame(index=range(len(label)))
    values = np.eye(classes, dtype=np.float32)[label]
    if task == "multilabel":
        row, column = np.indices(values.shape)
        values[(row + column) % 3 == 2] = np.nan
    return pd.DataFrame(values, columns=[f"class{c}" for c in range(classes)])
