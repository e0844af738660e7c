"""Head of a cell's first trial, trained: `head.safetensors`, written and read in one place.

A config keeps it by `keep: first_trial` in the protocol. Figures and other programs read it without torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import UserError, name_damage
from workflow_scripts.core.files import write_atomically
from workflow_scripts.levels.dataset_index import Task

METADATA = "prelude"  # one key, since safetensors writes several in random order and the file's bytes should not change
INPUT_MEAN, INPUT_STD = "input_mean", "input_std"
REMEDY = "delete its folder and evaluate again"


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptHead:
    """A trained head: its level, what it predicts, and its weights by name.

    A head on embeddings has the tensors of its `Head` without the axis of trials (linear: `weight` (inputs, outputs)
    and `bias` (1, outputs)) and, if its inputs are standardised, their `input_mean` and `input_std` (inputs,). A head
    on maps has those of its state dict.
    """

    name: str
    options: Mapping[str, Any]
    dataset: str
    task: Task
    classes: tuple[str, ...]
    crops: Literal["average", "pool"]  # what is averaged over the crops of a clip: probabilities, or embeddings
    tensors: Mapping[str, np.ndarray]

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The tensors without mean and deviation of the inputs."""
        return {name: value for name, value in self.tensors.items() if name not in (INPUT_MEAN, INPUT_STD)}


def write_head(path: Path, head: KeptHead, *, code: str) -> None:
    """Write a head; equal heads give equal bytes. `code` is the digest of the job."""
    about = {name: value for name, value in vars(head).items() if name != "tensors"}
    tensors = {name: np.ascontiguousarray(value) for name, value in head.tensors.items()}
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA: json.dumps({**about, "code": code}, sort_keys=True)})


def read_head(path: Path) -> KeptHead:
    """Read a head back; `UserError` names a file that is missing, changed or damaged."""
    if not path.is_file():
        raise UserError(
            f"{path} is missing: set keep: first_trial in its protocol (section protocols of the config) and run again"
        )
    require_unchanged(path)
    with name_damage(path, remedy=REMEDY), safe_open(path, framework="numpy") as stored:
        about = dict(json.loads((stored.metadata() or {})[METADATA]))
        del about["code"]
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a dict
        return KeptHead(**about | {"classes": tuple(about["classes"])}, tensors=tensors)
