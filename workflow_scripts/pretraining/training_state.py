"""Training states, from which an interrupted pre-training resumes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from workflow_scripts.checkpoints.torch_files import read_torch
from workflow_scripts.core import files
from workflow_scripts.core.errors import name_damage

RUN = "run"  # entry with the digest of the run, which the name of the file could lose


class StateFile:
    """The state of an unfinished run, beside its output folder: `.<output>-<digest>.state`.

    The digest covers everything the result depends on, so a state of other code, config or data is never resumed.
    """

    def __init__(self, output: Path, digest: str) -> None:
        """Name the state file of the run that writes `output`."""
        self.output, self.digest = output, digest
        self.path = output.parent / f".{output.name}-{digest}.state"

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state atomically: a kill leaves either the old state or the new one."""
        with files.write_atomically(self.path) as temporary:
            torch.save({RUN: self.digest, **state}, temporary)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the state with its tensors on `device`, or None if there is none; `UserError` if it is damaged."""
        if not self.path.exists():
            return None
        with name_damage(self.path, remedy="delete it to start over"):
            state = dict(read_torch(self.path, device=device))
            if state.pop(RUN, None) != self.digest:
                raise ValueError("it is the state of another run")
            return state

    def steps_done(self) -> int:
        """Return the number of finished steps in the saved state; 0 without one."""
        saved = self.load(torch.device("cpu"))
        return int(saved["steps_done"]) if saved else 0

    def copy_to(self, other: StateFile) -> None:
        """Replace the state of `other` by this one."""
        with files.write_atomically(other.path) as temporary:
            shutil.copyfile(self.path, temporary)

    def remove(self) -> None:
        """Remove this state, states of other code or config for the same output, and partial files left by kills."""
        for pattern in (f".{self.output.name}-*.state", f"..{self.output.name}-*.state"):
            for path in self.output.parent.glob(pattern):
                path.unlink(missing_ok=True)
