"""Pages of the report's site, and its other files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SitePage:
    """One page: its path below the folder of the site, and the template and content that it is rendered from.

    `group` is the heading of the contents under which it is listed; empty if it is reached by links alone.
    """

    path: str
    title: str
    template: str
    content: Any
    group: str = ""

    @property
    def root(self) -> str:
        """Relative path of the folder of the site, seen from the page."""
        return "../" * self.path.count("/")


@dataclass(frozen=True, kw_only=True)
class SiteFile:
    """A file of the site that is no page: its path below the folder of the site, and its content."""

    path: str
    content: bytes
