"""Config of `weigh`."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice
from workflow_scripts.configuration.jobs.pretrain import PretrainConfig


class WeighConfig(JobConfig):
    """The weighting, and the run whose first losses it uses."""

    weighting: LevelChoice
    """weighting that computes the loss weights"""
    run: PretrainConfig
    """config of the pre-training whose losses are used"""
    code: str
    """code digest of that pre-training"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("weighting", self.weighting.name)]
