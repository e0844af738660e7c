"""Config of `fetch_package`."""

from __future__ import annotations

from workflow_scripts.configuration.jobs._base import JobConfig


class FetchPackageConfig(JobConfig):
    """Archive of a Python package with published weights."""

    package: str
    """name of the package"""
    version: str
    """its version"""
    sha256: str
    """SHA-256 of the archive"""

    def require_planned(self, code: str, *, command: str) -> None:
        """Accept any code: the archive is identified by its checksum."""
