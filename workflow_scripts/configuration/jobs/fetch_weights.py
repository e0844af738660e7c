"""Config of `fetch_weights`."""

from __future__ import annotations

from workflow_scripts.configuration.jobs._base import JobConfig


class FetchWeightsConfig(JobConfig):
    """Weights of a model of timm."""

    model: str
    """its name in timm"""

    def require_planned(self, code: str, *, command: str) -> None:
        """Accept any code: an evaluation records the digest of the weights that it read."""
