"""Records of finished jobs as measurements: work, seconds and device."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from workflow_scripts.core import result_files
from workflow_scripts.planning.work import (
    Key,
    crop_seconds,
    encoder_key,
    evaluation_key,
    preparation_key,
    pretraining_key,
    trained_clips,
)


@dataclass(frozen=True, kw_only=True)
class MeasuredJob:
    """A finished job: its work, as `planning.work` counts it, its time and its device."""

    stage: str
    key: Key
    amount: float
    seconds: float
    device: str

    @property
    def on_gpu(self) -> bool:
        """Whether the job ran on a GPU."""
        return self.device.startswith("cuda")


def read_measured_jobs(folders: Iterable[Path]) -> tuple[list[MeasuredJob], list[Path]]:
    """Return all measurements below results folders, and the records that are damaged or of another version."""
    results = [_Results(folder) for folder in folders]
    jobs = [job for folder in results for job in folder.jobs()]
    return jobs, [path for folder in results for path in folder.damaged]


@dataclass
class _Results:
    """The records of one results folder."""

    folder: Path
    damaged: list[Path] = field(default_factory=list)
    corpora: dict[str, dict[str, float]] = field(default_factory=dict)  # seconds and clips by digest

    def jobs(self) -> Iterator[MeasuredJob]:
        """Yield all measurements; list what cannot be read in `damaged`."""
        for path in sorted(self.folder.glob(f"corpora/*/*/{result_files.CORPUS_FACTS}")):
            with self._noting_damage(path):
                facts = _read(path)
                self.corpora[facts["digest"]] = {"seconds": float(facts["seconds"]), "clips": float(facts["clips"])}
        for pattern, measure in MEASURES:
            for path in sorted(self.folder.glob(pattern)):
                job = None
                with self._noting_damage(path):
                    job = measure(path, self)
                if job is not None:
                    yield job

    def sum_inputs(self, unit: str, record: Mapping[str, Any]) -> float:
        """Return the seconds or clips of all corpora that a job used."""
        return float(sum(self.corpora.get(digest, {}).get(unit, 0) for digest in record["data"].values()))

    @contextmanager
    def _noting_damage(self, path: Path) -> Iterator[None]:
        try:
            yield
        except Exception:  # a damaged record, or one of another version, can raise anything
            self.damaged.append(path)


def _measure_preparation(path: Path, results: _Results) -> MeasuredJob:  # noqa: ARG001 - as all measures
    facts = _read(path.with_name(result_files.CORPUS_FACTS))
    return _make_job(_read(path), stage="prepare", key=preparation_key(facts["sample_rate"]), amount=facts["seconds"])


def _measure_extraction(path: Path, results: _Results) -> MeasuredJob:
    record = _read(path)
    key = (record["config"]["worker"],)
    return _make_job(record, stage="extract", key=key, amount=results.sum_inputs("seconds", record))


def _measure_pretraining(path: Path, results: _Results) -> MeasuredJob | None:  # noqa: ARG001 - as all measures
    record = _read(path)
    if "steps" not in record:  # the record of an imported checkpoint
        return None
    recipe = record["config"]["recipe"]
    return _make_job(
        record,
        stage="pretrain",
        key=pretraining_key(record["config"]),
        amount=record["steps"] * recipe["batch"] * recipe["chunk_seconds"],
        seconds=record["training_seconds"],
    )


def _measure_separation(path: Path, results: _Results) -> MeasuredJob:
    record = _read(path)
    key = encoder_key(record["config"]["encoder"])
    return _make_job(record, stage="evaluate_separation", key=key, amount=results.sum_inputs("seconds", record))


def _measure_embedding(path: Path, results: _Results) -> MeasuredJob:
    record = _read(path)
    key = encoder_key(record["config"]["encoder"])
    return _make_job(record, stage="embed", key=key, amount=results.sum_inputs("seconds", record))


def _measure_evaluation(path: Path, results: _Results) -> MeasuredJob:
    record = _read(path)
    config, key = record["config"], evaluation_key(record["config"])
    available = results.sum_inputs("clips", record)
    clips = trained_clips(config, available)
    if config["encoder"] is None:
        return _make_job(record, stage="evaluate_embeddings", key=key, amount=clips)
    length = crop_seconds(config, results.sum_inputs("seconds", record) / max(1, available))
    amount = clips * length * _mean_epochs(path.with_name(result_files.TRIALS))
    return _make_job(record, stage="evaluate_encoder", key=key, amount=amount)


#: places of records below a results folder, with the function that reads a measurement, or None, from each
MEASURES: tuple[tuple[str, Callable[[Path, _Results], MeasuredJob | None]], ...] = (
    (f"corpora/*/*/{result_files.RECORD}", _measure_preparation),
    ("features/*/*/*.json", _measure_extraction),
    (f"pretrained/**/{result_files.RECORD}", _measure_pretraining),
    (f"pretrained/**/{result_files.SEPARATION}", _measure_separation),
    ("embeddings/**/*.json", _measure_embedding),
    (f"evaluations/**/{result_files.RECORD}", _measure_evaluation),
)


def _make_job(
    record: Mapping[str, Any], *, stage: str, key: Key, amount: float, seconds: float | None = None
) -> MeasuredJob:
    """Return the measurement of a record; `ValueError` for values that no job can have."""
    elapsed = float(record["seconds"] if seconds is None else seconds)
    if not (0 <= amount < math.inf and 0 <= elapsed < math.inf and all(isinstance(part, str) for part in key)):
        raise ValueError(f"{amount} in {elapsed} s of {key}")
    return MeasuredJob(stage=stage, key=key, amount=amount, seconds=elapsed, device=str(record["device"]))


def _mean_epochs(trials: Path) -> float:
    """Return the mean number of epochs of a cell's trials."""
    with trials.open(encoding="utf-8", newline="") as file:
        return fmean(float(row["epochs"]) for row in csv.DictReader(file))


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
