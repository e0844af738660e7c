"""What the jobs before an evaluation wrote and a figure may look at: labels, embeddings, and the size of encoders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import Evaluation, PlannedJob
from workflow_scripts.report.figure_inputs import Evidence, Method

IMPORTED = "import_checkpoint"


@dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """The test clips of a data set as an encoder describes them.

    `vectors` (crops, size) are float32, `clips` (crops,) the rows of `corpus` they belong to: each clip is one crop
    unless the encoder is evaluated by crops.
    """

    corpus: Corpus
    vectors: np.ndarray
    clips: np.ndarray

    @property
    def of_clips(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean vector of each clip, (clips, size), and the clips' rows."""
        rows, firsts, counts = np.unique(self.clips, return_index=True, return_counts=True)
        return np.add.reduceat(self.vectors, firsts, axis=0, dtype=np.float64) / counts[:, None], rows


def corpus(evaluation: Evaluation) -> Corpus | None:
    """The corpus of the evaluated data set; None where it was not prepared."""
    job = _job(evaluation, "prepare")  # the evaluated data set's comes before that of pre-training
    return Corpus(job.output.parent) if job and job.output.is_file() else None


def embeddings(evaluation: Evaluation) -> Embeddings | None:
    """What the evaluation's frozen encoder made of the test clips; None where there is no such job or it was not run.

    `UserError` if the embeddings are not those of the corpus.
    """
    job, found = _job(evaluation, "embed"), corpus(evaluation)
    if job is None or found is None or not job.output.is_file():
        return None
    record = _record(job.record)
    if record["data"].get(found.facts.dataset) != found.facts.digest:
        raise UserError(f"{job.output} is stale: it was made from other data than {found.folder}; run embed again")
    length = record.get("crop_length")
    # consecutive crops without overlap, what is left at the end dropped, a shorter clip being one: as they are made
    crops = np.ones(len(found), np.int64) if length is None else np.maximum(found.lengths // length, 1)
    clip_of = np.repeat(np.arange(len(found)), crops)
    vectors = np.load(job.output, mmap_mode="r")
    if len(vectors) != len(clip_of):
        raise UserError(f"{job.output} is stale: {len(vectors)} embeddings for {len(clip_of)} crops; run embed again")
    tested = np.isin(clip_of, found.rows("test"))
    return Embeddings(corpus=found, vectors=vectors[tested], clips=clip_of[tested])


def parameters(method: Method, evidence: Evidence) -> int | None:
    """Trainable parameters of a method's encoder, as pre-training counted them.

    The encoder of a method that is trained from scratch is that of any run of this name in the plan. None where nobody
    counted: for floors, imported checkpoints, and encoders that no run has pre-trained.
    """
    evaluation = method.evaluations[0]
    if method.floor or _job(evaluation, IMPORTED):
        return None
    own = _job(evaluation, "pretrain")
    encoder = method.levels["encoder"]
    others = [run.folder / "record.json" for run in evidence.plan.pretrained if run.factors["encoder"] == encoder]
    for path in [own.record] if own else others:
        if path.is_file():
            return int(_record(path)["parameters"]["encoder"])
    return None


def _job(evaluation: Evaluation, verb: str) -> PlannedJob | None:
    return next((job for job in evaluation.jobs if job.stage == verb), None)


def _record(path: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged: run the job that writes it again") from error
