"""Embeddings of the test clips of a data set, as `embed` stored them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core import array_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import PlannedCell


@dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """Embeddings of the test clips of a data set.

    `vectors` (crops, size) are float32; `clips` (crops,) are their rows in `corpus`. Each clip is one crop unless the
    encoder is evaluated by crops.
    """

    corpus: Corpus
    vectors: np.ndarray
    clips: np.ndarray

    @property
    def of_clips(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean vector of each clip, (clips, size), and the clips' rows."""
        rows, firsts, counts = np.unique(self.clips, return_index=True, return_counts=True)
        return np.add.reduceat(self.vectors, firsts, axis=0, dtype=np.float64) / counts[:, None], rows


def find_corpus(cell: PlannedCell) -> Corpus | None:
    """Return the corpus of the evaluated data set; None if it was not prepared."""
    job = cell.job("prepare")  # the job of the evaluated data set comes before that of pre-training
    if job is None or not job.output.is_file():
        return None
    if job.code:
        job.read_record()
    return Corpus(job.output.parent)


def read_embeddings(cell: PlannedCell) -> Embeddings | None:
    """Read the test clips' embeddings by the cell's frozen encoder; None if they were not planned or not run.

    Raises `UserError` if the embeddings are not those of the corpus.
    """
    job, corpus = cell.job("embed"), find_corpus(cell)
    if job is None or corpus is None or not job.output.is_file():
        return None
    record = job.read_record()
    if record["data"].get(corpus.facts.dataset) != corpus.facts.digest:
        raise UserError(f"{job.output} is stale: it was computed from other data than {corpus.folder}; run embed again")
    length = record.get("crop_length")
    # as `embed` cuts them: consecutive crops without overlap, no remainder; a clip shorter than a crop is one crop
    crops = np.ones(len(corpus), np.int64) if length is None else np.maximum(corpus.lengths // length, 1)
    clip_of = np.repeat(np.arange(len(corpus)), crops)
    require_unchanged(job.output, record=job.record)
    vectors = array_files.map_matrix(job.output, remedy="run embed again")
    if len(vectors) != len(clip_of):
        raise UserError(f"{job.output} is stale: {len(vectors)} embeddings for {len(clip_of)} crops; run embed again")
    tested = np.isin(clip_of, corpus.rows("test"))
    return Embeddings(corpus=corpus, vectors=vectors[tested], clips=clip_of[tested])
