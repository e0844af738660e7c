"""Config of `visualise_filters`."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice


class VisualiseFiltersConfig(JobConfig):
    """The encoder whose filters are visualised."""

    encoder: LevelChoice
    """encoder, and its options"""
    seed: int = Field(ge=0)
    """seed of an untrained encoder's weights"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("encoder", self.encoder.name)]
