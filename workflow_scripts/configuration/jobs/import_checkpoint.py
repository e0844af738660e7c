"""Config of `import_checkpoint`."""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice


class ImportCheckpointConfig(JobConfig):
    """The published file, and the encoder it is for; users who call the command by hand give flags instead."""

    encoder: LevelChoice
    """encoder, and its options"""
    checkpoint: str
    """name of the config's entry"""
    file: str | None
    """digest of the published file, of the archive that holds it, or of an external network's files; null: it does
    not exist"""
    member: str | None = None
    """path of the published file in the archive; null: it is no archive"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("encoder", self.encoder.name)]
