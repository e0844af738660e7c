"""Config of `evaluate_embeddings`."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scripts.configuration.jobs._base import JobConfig
from workflow_scripts.configuration.jobs.evaluate import EvaluateConfig
from workflow_scripts.core.validation import StrictModel


class PlannedEvaluation(StrictModel):
    """One planned cell: its folder, its digest, and its config as `evaluate` reads it."""

    folder: str
    """folder of the cell, below that of the data set"""
    code: str
    """planned digest of the cell"""
    config: EvaluateConfig
    """config of the cell"""


class EvaluateEmbeddingsConfig(JobConfig):
    """Cells of one run and data set whose encoder stays frozen."""

    cells: tuple[PlannedEvaluation, ...]
    """the cells, in the order in which they are evaluated"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return dict.fromkeys(level for cell in self.cells for level in cell.config.levels())
