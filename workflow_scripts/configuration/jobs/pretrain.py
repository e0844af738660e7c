"""Config of `pretrain`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice
from workflow_scripts.configuration.recipe import Recipe


class PretrainConfig(JobConfig):
    """A level of each pre-training factor."""

    corpus: str = ""
    """name of the data set to learn from"""
    encoder: LevelChoice
    """encoder to train"""
    workers: dict[str, dict[str, Any]]
    """options of each worker, by its level"""
    weighting: LevelChoice
    """how the losses of the workers are combined"""
    augmentation: LevelChoice
    """how chunks are changed"""
    recipe: Recipe
    """numbers that are not factors"""
    seed: int = Field(ge=0)
    """pre-training seed"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        chosen = {"encoder": self.encoder, "augmentation": self.augmentation, "weighting": self.weighting}
        return [
            *((factor, level.name) for factor, level in chosen.items()),
            *(("worker", name) for name in self.workers),
        ]
