"""Config of `evaluate`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.levels.fractions import Subset


class EvaluateConfig(JobConfig):
    """A level of each downstream factor, and the numbers of its trials."""

    encoder: LevelChoice | None = None
    """encoder, where the scenario trains it"""
    head: LevelChoice
    """classifier"""
    scenario: str
    """level of the scenario"""
    fraction: str
    """share of the training labels, such as 10pct"""
    subset: Subset = "clips"
    """rule that chooses the labels of the fraction"""
    trials: int = Field(ge=1)
    """number of trials"""
    training: EvaluationProtocol = EvaluationProtocol()
    """numbers of each trial's training"""
    factors: dict[str, str | int]
    """value of each factor's column in trials.csv"""
    keep: Literal["first_trial"] | None = None
    """whether the weights of the first trial are kept"""
    head_file_digest: str | None = None
    """digest of the file whose weights the head starts from"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        trained = [("encoder", self.encoder.name)] if self.encoder else []
        return [("head", self.head.name), ("scenario", self.scenario), *trained]
