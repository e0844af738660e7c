"""Cost of a plan, estimated from records of finished jobs: hours of a device, and bytes on the disk.

The rate of a stage, seconds for a unit of work, is that of the most similar records. It is the ratio of their sums, so
long jobs count for more than short ones, whose start takes most of their time. Jobs without a similar record are
reported as unknown, not guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workflow_scripts.levels import registry
from workflow_scripts.planning.cost_records import MeasuredJob
from workflow_scripts.planning.downloads import PlannedFile, list_files
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.work import Work, dataset_size, embedding_size, estimate_work

FRAMES_PER_SECOND = 100  # of stored features: hop 160 at 16 kHz
BYTES_OF_SAMPLE, BYTES_OF_FLOAT = 2, 4

STAGES = (
    "prepare",
    "extract",
    "weigh",
    "pretrain",
    "evaluate_separation",
    "embed",
    "evaluate_embeddings",
    "evaluate_encoder",
)
MEASURED_AS = {"weigh": "pretrain"}  # the same work


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """Cost of one stage's jobs: `hours` on `device` of all but the `unknown` ones, which no record is similar to."""

    stage: str
    jobs: int
    hours: float
    device: str
    records: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class DiskSpace:
    """Bytes that a kind of result takes on the disk, without `unknown` files whose size is not known."""

    kind: str
    size: float
    unknown: int


def estimate_costs(plan: Plan, records: Sequence[MeasuredJob]) -> list[CostEstimate]:
    """Return the cost of each stage, in their order; records of GPUs are preferred to those of CPUs."""
    work: dict[str, list[Work]] = {stage: [] for stage in STAGES}
    for job in estimate_work(plan):
        work[job.stage].append(job)
    measured = {stage: [job for job in records if job.stage == MEASURED_AS.get(stage, stage)] for stage in STAGES}
    return [_estimate(stage, jobs, measured[stage]) for stage, jobs in work.items() if jobs]


def estimate_space(plan: Plan) -> list[DiskSpace]:
    """Return the disk space of downloads, corpora, features and embeddings; predictions are not included.

    The audio of an archive is as large as the archive.
    """
    downloads = [_download_bytes(file) for file in list_files(plan) if file.remote.unpack]  # others are small texts
    tracks = {name: 1 + len(plan.levels.stems.get(name, ())) for name, _ in plan.corpora}  # the clip and its stems
    corpora = [dataset_size(plan, name).seconds * rate * BYTES_OF_SAMPLE * tracks[name] for name, rate in plan.corpora]
    channels = {worker: registry.load("worker", worker).CHANNELS for _, _, worker in plan.features}
    features = [
        dataset_size(plan, corpus).seconds * FRAMES_PER_SECOND * channels[worker] * BYTES_OF_FLOAT
        for corpus, _, worker in plan.features
    ]
    embeddings = [
        dataset_size(plan, dataset).clips * embedding_size(plan, run) * BYTES_OF_FLOAT
        for run, dataset in plan.embedding_jobs
    ]
    kinds = {"downloads": downloads, "corpora": corpora, "features": features, "embeddings": embeddings}
    return [_total(kind, sizes) for kind, sizes in kinds.items()]


def _download_bytes(file: PlannedFile) -> float:
    """Return the bytes of an archive's content and, if it is kept, of the archive."""
    size = float("nan") if file.remote.bytes is None else float(file.remote.bytes)
    return size * (2 if file.is_kept else 1)


def _estimate(stage: str, work: Sequence[Work], records: Sequence[MeasuredJob]) -> CostEstimate:
    used: set[MeasuredJob] = set()
    hours = 0.0
    unknown: set[object] = set()
    for job in work:
        similar = _most_similar(job, records)
        if math.isnan(job.amount) or not similar:
            unknown.add(job.job)
            continue
        used.update(similar)
        rate = sum(record.seconds for record in similar) / sum(record.amount for record in similar)
        hours += job.amount * rate / 3600
    device = ", ".join(sorted({record.device for record in used}))
    jobs = len({job.job for job in work})
    return CostEstimate(stage=stage, jobs=jobs, hours=hours, device=device, records=len(used), unknown=len(unknown))


def _most_similar(work: Work, records: Sequence[MeasuredJob]) -> list[MeasuredJob]:
    """Return the records that share the longest prefix of the key, those of GPUs if there are any."""
    for length in range(len(work.key), 0, -1):
        similar = [record for record in records if record.key[:length] == work.key[:length] and record.amount > 0]
        if similar:
            return [record for record in similar if record.on_gpu] or similar
    return []


def _total(kind: str, sizes: Sequence[float]) -> DiskSpace:
    known = [size for size in sizes if not math.isnan(size)]
    return DiskSpace(kind=kind, size=sum(known), unknown=len(sizes) - len(known))
