"""Config of `audit`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig


class AuditConfig(JobConfig):
    """The evaluated data set, and those its encoders are pre-trained on."""

    dataset: str
    """name of the evaluated data set"""
    pretraining: list[str] = Field(default_factory=list)
    """names of the data sets to compare it with, in the order of their corpora"""
    catalogues: dict[str, Any] = Field(default_factory=dict)
    """catalogue of each data set's recording identifiers, null where it has none"""
