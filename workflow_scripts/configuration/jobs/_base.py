"""Base of job configs, and the choice of a level in one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Self

from pydantic import Field

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.provenance import require_planned_code
from workflow_scripts.core.validation import StrictModel, parse, parse_json
from workflow_scripts.levels import registry


class JobConfig(StrictModel):
    """All that one job reads of the config; it decides, with the code, whether the job must run again."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the config of a job; raises `UserError` where it is not one."""
        try:
            content = parse_json(text)
        except ValueError as error:
            raise UserError(f"--config: not JSON ({error})") from error
        return parse(cls, content, where="--config")

    def modules(self) -> Iterator[str]:
        """Yield the modules of the levels that the job's command loads."""
        for factor, name in self.levels():
            yield registry.module_name(factor, name)

    def levels(self) -> Iterable[tuple[str, str]]:
        """Return factor and name of each level that the job's command loads."""
        return ()

    def require_planned(self, code: str, *, command: str) -> None:
        """Raise `UserError` if the code of the job's command is not the one that was planned as `code`."""
        require_planned_code(code, command, chosen=self.modules())

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
