"""Time and memory of jobs, and library versions, from their records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.core.checksums import FindRecord, find_record
from workflow_scripts.planning.attempts import Attempts, total_seconds
from workflow_scripts.report import labels, number_format

ENERGY = "energy"  # beginning of the keys of measured energy
REQUIRED = ("config", "seconds", "peak_memory_bytes")  # keys that identify a JSON file as a record


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """Cost and provenance of one job, from its record."""

    stage: str
    config: Mapping
    device: str
    seconds: float
    peak_memory_bytes: float
    versions: Mapping[str, str]
    energy: Mapping[str, float] = field(default_factory=dict)  # by its key, which names the unit; empty if not measured
    started: str = ""  # of the last attempt, UTC in ISO format; empty if unknown


def read_records(
    stage: str, path: Path, attempts: Mapping[str, Attempts], *, find: FindRecord = find_record
) -> list[JobRecord]:
    """Read the record of a stage's job into a list of one, empty if there is no record.

    Seconds are those of all `attempts`, which are by the path of the record. `find` reads it; it raises `UserError` for
    a record that is not as its job wrote it, or leaves it out.
    """
    content = find(path)
    return [
        JobRecord(
            stage=stage,
            config=content["config"],
            device=str(content.get("device") or "cpu"),
            seconds=total_seconds(content, attempts.get(str(path))),
            peak_memory_bytes=float(content["peak_memory_bytes"]),
            versions=content.get("versions") or {},
            energy={key: value for key, value in content.items() if key.startswith(ENERGY) and _is_number(value)},
            started=str(content.get("started") or ""),
        )
        for content in [content or {}]
        if all(key in content for key in REQUIRED)
    ]


def by_stage(records: Sequence[JobRecord]) -> list[tuple[str, ...]]:
    """Return jobs, total time, longest job and peak memory per stage and device, in the order of the records."""
    groups: dict[tuple[str, str], list[JobRecord]] = {}
    for record in records:
        groups.setdefault((record.stage, record.device), []).append(record)
    return [
        (
            stage,
            device,
            f"{len(group):,}",
            number_format.duration(sum(record.seconds for record in group)),
            number_format.duration(max(record.seconds for record in group)),
            number_format.size(max(record.peak_memory_bytes for record in group)),
        )
        for (stage, device), group in groups.items()
    ]


def by_run(records: Iterable[JobRecord]) -> list[tuple[str, ...]]:
    """Return the name, device, time and peak memory of each pre-trained run."""
    return [
        (
            _run(record.config),
            record.device,
            number_format.duration(record.seconds),
            number_format.size(record.peak_memory_bytes),
        )
        for record in records
        if record.stage == "pretrain"
    ]


def energy_by_stage(records: Iterable[JobRecord]) -> list[tuple[str, ...]]:
    """Return stage, name and unit, and sum of the measured energy, with the number of jobs it was measured in."""
    measured: dict[tuple[str, str], list[float]] = {}
    for record in records:
        for key, value in record.energy.items():
            measured.setdefault((record.stage, key), []).append(value)
    return [
        (stage, labels.capital(key.replace("_", " ")), f"{len(values):,}", f"{math.fsum(values):,.0f}")
        for (stage, key), values in measured.items()
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)


def dates(records: Iterable[JobRecord]) -> str:
    """Return the days on which jobs started, the first and the last; empty if none is known."""
    days = sorted(record.started[:10] for record in records if record.started)
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def versions(records: Iterable[JobRecord]) -> list[tuple[str, str]]:
    """Return the libraries, sorted by name, with the versions used; several if jobs differed."""
    used: dict[str, set[str]] = {}
    for record in records:
        for library, version in record.versions.items():
            used.setdefault(library, set()).add(version)
    return [(library, ", ".join(sorted(texts))) for library, texts in sorted(used.items())]


def _run(config: Mapping) -> str:
    """Return the name of a pre-trained run: encoder, corpus, workers and seed."""
    encoder, workers = config.get("encoder") or {}, config.get("workers") or {}
    corpus = labels.name(str(config.get("corpus", "its corpus")))
    return (
        f"{labels.name(str(encoder.get('name', 'encoder')))} on {corpus}, "
        f"workers {', '.join(workers)}, seed {config.get('seed')}"
    )
