"""What jobs cost, from the records they wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.report import labels, number_format

NEEDED = ("config", "seconds", "peak_memory_bytes")  # what makes a JSON file a record


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """What one job's record says about its cost and its making."""

    stage: str
    config: Mapping
    device: str
    seconds: float
    peak_memory_bytes: float
    versions: Mapping[str, str]


def read_records(stage: str, path: Path) -> list[JobRecord]:
    """Read the record of a stage's job: a list of one, or of none where the job has left no record.

    Raises `UserError` for a damaged one.
    """
    try:
        contents = [json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []
    except ValueError as error:
        raise UserError(f"{path} is damaged: delete it and run the workflow again") from error
    return [
        JobRecord(
            stage=stage,
            config=content["config"],
            device=str(content.get("device") or "cpu"),
            seconds=float(content["seconds"]),
            peak_memory_bytes=float(content["peak_memory_bytes"]),
            versions=content.get("versions") or {},
        )
        for content in contents
        if isinstance(content, dict) and all(key in content for key in NEEDED)
    ]


def by_stage(records: Sequence[JobRecord]) -> list[tuple[str, ...]]:
    """Per stage and device: jobs, total time, longest job, highest peak memory; in the order of the records."""
    groups: dict[tuple[str, str], list[JobRecord]] = {}
    for record in records:
        groups.setdefault((record.stage, record.device), []).append(record)
    return [
        (
            *(stage, device, f"{len(group):,}"),
            number_format.duration(sum(record.seconds for record in group)),
            number_format.duration(max(record.seconds for record in group)),
            number_format.size(max(record.peak_memory_bytes for record in group)),
        )
        for (stage, device), group in groups.items()
    ]


def pretrained(records: Iterable[JobRecord]) -> list[tuple[str, ...]]:
    """Per pre-trained run: what it was, device, time and peak memory."""
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


def versions(records: Iterable[JobRecord]) -> list[tuple[str, str]]:
    """Libraries with the versions that were used, sorted by name; several where jobs differed."""
    found: dict[str, set[str]] = {}
    for record in records:
        for library, version in record.versions.items():
            found.setdefault(library, set()).add(version)
    return [(library, ", ".join(sorted(used))) for library, used in sorted(found.items())]


def _run(config: Mapping) -> str:
    encoder, workers = config.get("encoder") or {}, config.get("workers") or {}
    corpus = labels.name(str(config.get("corpus", "its corpus")))
    return (
        f"{labels.name(str(encoder.get('name', 'encoder')))} on {corpus}, "
        f"workers {', '.join(workers)}, seed {config.get('seed')}"
    )
