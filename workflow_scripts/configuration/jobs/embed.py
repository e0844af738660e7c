"""Config of `embed`."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice


class EmbedConfig(JobConfig):
    """The encoder, and the data set whose clips it encodes."""

    encoder: LevelChoice
    """encoder, and its options"""
    seed: int = Field(ge=0)
    """seed of an untrained encoder's weights"""
    dataset: str
    """name of the data set"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("encoder", self.encoder.name)]
