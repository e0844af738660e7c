"""Config of `prepare`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig


class PrepareConfig(JobConfig):
    """The data set to decode and resample."""

    dataset: str
    """name of the data set"""
    loader: str
    """level that reads it"""
    options: dict[str, Any] = Field(default_factory=dict)
    """options of the loader"""
    sample_rate: int = Field(gt=0)
    """sample rate of the corpus in Hz"""
    clip_seconds: float | None = Field(None, gt=0)
    """longest part of a clip that is kept, from its start; null: all of it"""
    source: Literal["download", "local", "twin"] | None = None
    """source of the acquired files; null: any"""
    acquisition_digest: str | None = None
    """digest of the `acquire` job whose files are expected; null: any"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("dataset", self.loader)]
