"""Config of `extract`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig


class ExtractConfig(JobConfig):
    """The worker whose targets are stored."""

    worker: str
    """level of the worker"""
    options: dict[str, Any] = Field(default_factory=dict)
    """options of the worker"""
    sample_rate: int = Field(gt=0)
    """sample rate of the corpus in Hz"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("worker", self.worker)]
