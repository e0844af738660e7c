"""Config of `write_listening_page`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from workflow_scripts.configuration.jobs._base import JobConfig


class WriteListeningPageConfig(JobConfig):
    """A study, the encoder whose filters are listened to, and the data sets."""

    study: str
    """name of the study"""
    title: str
    """title of the page"""
    encoder: str
    """encoder as tables name it"""
    rows: Literal["clips", "crops"]
    """what a row is"""
    datasets: dict[str, str] = Field(min_length=1)
    """data sets by name, in their order, with their labels"""
    heads: dict[str, str]
    """level of the kept head of each data set"""
    audio: tuple[str, ...]
    """data sets whose audio is included"""

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the command loads."""
        return [("head", head) for head in dict.fromkeys(self.heads.values())]
