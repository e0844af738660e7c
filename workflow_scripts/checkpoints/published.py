"""Files of published weights: reading them, and loading a network with exactly what they hold.

Apart from the networks, so that a job which only reads a file does not depend on their code. The files hold a bare
state dict, or a dict with `state_dict` (or `model`) beside other things (`step` and `optimizer`, or what Lightning
keeps). Pickled code is never run.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from workflow_scripts.checkpoints import tensorflow
from workflow_scripts.core.errors import UserError

PARALLEL_PREFIX = "module."  # what torch's DataParallel puts before each key
SAFETENSORS_BRACE = 8  # place of the header's opening brace, behind its length in eight bytes
#: classes beside the weights in Lightning's files are read as empty ones: nothing of them is used
LIGHTNING = ("pytorch_lightning.", "lightning.", "argparse.Namespace")


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a file holds: its tensors by the official keys, the name of its format, and the digest of its bytes."""

    path: Path
    state: dict[str, Tensor]
    format: str
    sha256: str

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor."""
        return {key: tuple(value.shape) for key, value in self.state.items()}


def read(path: Path) -> Published:
    """Read a checkpoint onto the CPU; `UserError` says in one line why a file is none."""
    with explained(path, "read"):
        if (index := tensorflow.index_of(path)) is not None:
            return _tensorflow(path, index)
        if not path.is_file():
            raise UserError("it is a folder: name a file in it" if path.is_dir() else "there is no such file")
        with path.open("rb") as file:
            start = file.read(SAFETENSORS_BRACE + 1)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if not start:
            raise UserError("it is empty: fetch it again")
        is_safetensors = start[SAFETENSORS_BRACE:] == b"{"
        content, form = (_safetensors(path), "safetensors") if is_safetensors else _state_dict(_unpickled(path))
        return Published(path=path, state=_checked(content), format=form, sha256=sha256)


def digest_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by their names, types, shapes and values, whatever file they came in and in whatever order."""
    found = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        found.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def load_exactly(module: nn.Module, published: Published) -> None:
    """Load the weights; `UserError` unless keys and shapes are exactly the module's."""
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    missing = [key for key in expected if key not in published.state]
    surplus = [key for key in published.state if key not in expected]
    if missing:
        raise UserError(
            f"it lacks {len(missing)} of {len(expected)} tensors, first {missing[0]}: "
            "it is only a part, or another network"
        )
    if surplus:
        raise UserError(f"it has {len(surplus)} tensors too many, first {surplus[0]}: it is another network")
    for key, shape in expected.items():
        if published.shapes[key] != shape:
            raise UserError(f"{key} has shape {published.shapes[key]}, not {shape}: it is another network")
    module.load_state_dict(published.state, strict=True)


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Name the file in what is wrong with it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path} cannot be {what}: {error}") from error
    except LookupError as error:
        raise UserError(
            f"{path} cannot be {what}: it has no fitting {error.args[0]}: it is only a part, or another network"
        ) from error


def _tensorflow(path: Path, index: Path) -> Published:
    sha256 = hashlib.sha256()
    for part in tensorflow.files(index):
        with part.open("rb") as file:
            sha256.update(hashlib.file_digest(file, "sha256").digest())
    state = _checked(tensorflow.read(index))
    return Published(path=path, state=state, format="TensorFlow checkpoint", sha256=sha256.hexdigest())


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"its safetensors are damaged: fetch it again ({error})") from error


def _unpickled(path: Path) -> object:
    """Content of a file of `torch.save`, as far as it is plain data."""
    damaged = "it is no checkpoint of torch or safetensors, or damaged: fetch it again"
    try:
        # without torch's remarks on a pickle's age
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(_emptied(path)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):  # how torch names what it refuses to import
            raise UserError("it holds pickled code, which is not run: save its state_dict alone") from error
        raise UserError(damaged) from error
    except Exception as error:  # damaged bytes make the reader raise nearly anything
        raise UserError(damaged) from error


class _Empty:
    """Stands for an object of a class that is not imported."""

    def __new__(cls, *_: object, **__: object) -> _Empty:
        """Take any arguments and forget them."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments and forget them."""


def _emptied(path: Path) -> list[Any]:
    """Stand-ins for the classes of Lightning that a file names, for torch's reader."""
    if not zipfile.is_zipfile(path):  # torch lists the names of no other files; Lightning writes these
        return []
    named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return [(type("Empty", (_Empty,), {}), name) for name in named if name.startswith(LIGHTNING)]


def _state_dict(content: object) -> tuple[object, str]:
    for name in ("state_dict", "model"):  # the authors of DeiT write the second
        if isinstance(content, Mapping) and name in content:
            return content[name], f"dict with {name}"
    return content, "state dict"


def _checked(content: object) -> dict[str, Tensor]:
    """State dict with bare keys, all of whose values are finite tensors."""
    if not isinstance(content, Mapping) or not content:
        raise UserError("it holds no state dict: save the network's state_dict")
    state = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"its entry {key!r} is no tensor, so it is no state dict: save the network's state_dict")
        if value.layout != torch.strided or value.is_complex() or value.is_quantized:
            raise UserError(f"{key} is no plain tensor of real numbers: save the network in float32")
        if not torch.isfinite(value).all():
            raise UserError(f"{key} holds values that are not finite: take an earlier checkpoint")
        state[key] = value.detach()
    if all(key.startswith(PARALLEL_PREFIX) for key in state):
        return {key.removeprefix(PARALLEL_PREFIX): value for key, value in state.items()}
    return state
