"""Config of `evaluate_separation`."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice


class EvaluateSeparationConfig(JobConfig):
    """The encoder, and the worker that trained it to separate sources."""

    encoder: LevelChoice
    """encoder, and its options"""
    worker: LevelChoice
    """worker by which it was pre-trained, and its options"""
    split: str
    """split of the songs that are separated"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("encoder", self.encoder.name), ("worker", self.worker.name)]
