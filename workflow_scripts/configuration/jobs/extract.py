"""Config of `extract`."""

from __future__ import annotations

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
