"""Encoder files, which outlive a run, and state files, from which a run goes on."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from workflow_scripts import files, levels
from workflow_scripts.errors import UserError
from workflow_scripts.training.shapes import Encoder

METADATA = "prelude"  # one key, since safetensors writes several in random order and the file's bytes should not change


def save_encoder(path: Path, encoder: Encoder, *, name: str, options: object, code: str) -> None:
    """Write an encoder's weights as safetensors; equal weights give equal bytes. `options` is its level's `Options`."""
    about = {"encoder": name, "options": asdict(options), "code": code}  # type: ignore[call-overload]
    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    with files.written_atomically(path) as temporary:
        save_file(state, temporary, metadata={METADATA: json.dumps(about, sort_keys=True)})


def load_encoder(path: Path, *, name: str, options: Mapping[str, object]) -> Encoder:
    """Rebuild the encoder in `path`, on the CPU, in evaluation mode.

    `name` and `options` are those of the config. Raises `UserError` if the file is missing, damaged or holds another
    encoder.
    """
    level = levels.load("encoder", name)
    chosen = levels.options(level, options)
    encoder: Encoder = level.build(chosen)
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads((stored.metadata() or {}).get(METADATA, "{}"))
            state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: pre-train again ({error})") from error
    found = (about.get("encoder"), about.get("options"))
    if found != (name, asdict(chosen)):
        raise UserError(f"{path} holds encoder {found[0]} {found[1]}, not {name} {asdict(chosen)}: pre-train again")
    try:
        encoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit encoder {name}: pre-train again ({error})") from error
    return encoder.eval()


class StateFile:
    """The state of an unfinished run, beside its output folder: `.<output>-<digest>.state`.

    The digest stands for everything the result depends on, so a state of other code, numbers or data is never taken up.
    """

    def __init__(self, output: Path, digest: str) -> None:
        """Name the file for the run that writes `output`."""
        self.output, self.digest = output, digest
        self.path = output.parent / f".{output.name}-{digest}.state"

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state atomically: a kill leaves the old one or the new one."""
        with files.written_atomically(self.path) as temporary:
            torch.save(dict(state), temporary)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the state with its tensors on `device`, or None if there is none; `UserError` if it is damaged."""
        if not self.path.exists():
            return None
        try:
            return dict(torch.load(self.path, map_location=device, weights_only=True))
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.path} is damaged: delete it to start over ({error})") from error

    def steps(self) -> int:
        """Steps that are done in the saved state; 0 without one."""
        saved = self.load(torch.device("cpu"))
        return int(saved["done"]) if saved else 0

    def copy_to(self, other: StateFile) -> None:
        """Let `other` hold this state instead of its own."""
        with files.written_atomically(other.path) as temporary:
            shutil.copyfile(self.path, temporary)

    def remove(self) -> None:
        """Remove the state, those of other code or numbers for this output, and halves left by kills."""
        for pattern in (f".{self.output.name}-*.state", f"..{self.output.name}-*.state"):
            for path in self.output.parent.glob(pattern):
                path.unlink(missing_ok=True)
