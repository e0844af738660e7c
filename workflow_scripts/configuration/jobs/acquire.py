"""Config of `acquire`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core.provenance import require_planned_code


class AcquireConfig(JobConfig):
    """The data set to bring, and its source."""

    dataset: str
    """name of the data set"""
    loader: str
    """level that reads it"""
    source: Literal["download", "local", "twin"]
    """where its files come from"""
    options: dict[str, Any] = Field(default_factory=dict)
    """options of the loader on which the data set's files depend"""
    path: str | None = None
    """folder of the user's copy, for source local"""
    twin: TwinOptions | None = None
    """size of the twin, for source twin"""

    def require_planned(self, code: str, *, command: str) -> None:  # noqa: ARG002 - as of all jobs
        """Raise `UserError` if a twin's code is not the one that was planned; other sources depend on no code."""
        if self.source == "twin":
            require_planned_code(code, f"twins.{self.loader}")
