"""Base of job configs, and the choice of a level in one."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import StrictModel, parse


class JobConfig(StrictModel):
    """All that one job reads of the config; it decides, with the code, whether the job must run again."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the config of a job; raises `UserError` where it is not one."""
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"--config: not JSON ({error})") from error
        return parse(cls, content, where="--config")

    def to_plain(self) -> dict[str, Any]:
        """Return what was stated (no defaults) as plain data, the same for planning and for the job's record."""
        return self.model_dump(mode="json", exclude_unset=True)

    def to_json(self) -> str:
        """Return what was stated as one line of JSON with sorted keys."""
        return json.dumps(self.to_plain(), sort_keys=True)


class LevelChoice(StrictModel):
    """One level and the options stated for it; the level's own `Options` check them."""

    name: str
    """file of the level"""
    options: dict[str, Any] = Field(default_factory=dict)
    """options that differ from the level's defaults"""
