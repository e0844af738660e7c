"""Responses of an encoder's filters to the test clips of a data set, and what is known about these clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.audio.corpus import CorpusFacts
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.embeddings import read_embeddings


@dataclass(frozen=True, kw_only=True, eq=False)
class Responses:
    """Mean activation of each filter over the crops of each test clip, and the clips.

    `values` (clips, filters) are float64, `names` (clips,) the clips' ids, `tags` (clips, classes) whether a clip has a
    class. `clusters` (clips,) are numbers from 0 of what is resampled together: the clips of one song or artist.
    """

    facts: CorpusFacts
    values: np.ndarray
    names: np.ndarray
    tags: np.ndarray
    clusters: np.ndarray

    def columns(self, classes: Sequence[str]) -> list[int]:
        """Return the places of classes; `UserError` for one that the data set lacks."""
        known = self.facts.classes
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise UserError(f"{self.facts.dataset} has no class {', '.join(unknown)}; it has: {', '.join(known)}")
        return [known.index(name) for name in classes]

    def has_any(self, classes: Sequence[str]) -> np.ndarray:
        """Return whether each clip has one of the classes, (clips,)."""
        return np.asarray(self.tags[:, self.columns(classes)].any(axis=1))


def read_responses(cell: PlannedCell) -> Responses | None:
    """Read the responses of a cell's frozen encoder; None if its embeddings were not planned or not computed.

    Raises `UserError` for activations that are not finite: nothing can be sorted by them.
    """
    embeddings = read_embeddings(cell)
    if embeddings is None:
        return None
    values, rows = embeddings.of_clips
    corpus = embeddings.corpus
    if not np.isfinite(values).all():
        raise UserError(f"embeddings of {corpus.facts.dataset} by {cell.factors['encoder']} are not finite")
    return Responses(
        facts=corpus.facts,
        values=values,
        names=corpus.clips["clip"].to_numpy()[rows].astype(str),
        tags=corpus.labels[rows] == 1,
        clusters=np.unique(corpus.clips["group"].to_numpy()[rows].astype(str), return_inverse=True)[1],
    )
