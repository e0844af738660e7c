"""Files of published weights: reading them, and loading a network with exactly their tensors.

Apart from the networks, so that a job which only reads a file does not depend on their code. The files hold a bare
state dict, or a dict with `state_dict` (or `model`) beside other things (`step` and `optimizer`, or Lightning's own).
Pickled code is never run.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from workflow_scripts.checkpoints import tensorflow
from workflow_scripts.checkpoints.torch_files import read_torch, require_plain
from workflow_scripts.core.checkpoint_files import digest_index, find_index
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.file_digests import digest_file

PARALLEL_PREFIX = "module."  # torch's DataParallel puts it before each key
SAFETENSORS_BRACE = 8  # place of the header's opening brace, behind its length in eight bytes
#: classes beside the weights in Lightning's files are read as empty ones: nothing of them is used
LIGHTNING = ("pytorch_lightning.", "lightning.", "argparse.Namespace")


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """Content of a file: its tensors by the official keys, the name of its format, and the digest of its bytes."""

    path: Path
    state: dict[str, Tensor]
    format: str
    sha256: str

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor."""
        return {key: tuple(value.shape) for key, value in self.state.items()}


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read a checkpoint onto the CPU; `UserError` states in one line why a file is none."""
    with name_file_in_errors(path, "read"):
        if (index := find_index(path)) is not None:
            return _read_tensorflow(path, index)
        if not path.is_file():
            raise UserError("it is a folder: name a file in it" if path.is_dir() else "there is no such file")
        with path.open("rb") as file:
            start = file.read(SAFETENSORS_BRACE + 1)
        if not start:
            raise UserError("it is empty: fetch it again")
        is_safetensors = start[SAFETENSORS_BRACE:] == b"{"
        content, form = (_read_safetensors(path), "safetensors") if is_safetensors else _select_state(_unpickle(path))
        return CheckpointFile(path=path, state=_check_state(content), format=form, sha256=digest_file(path))


def digest_tensors(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors by their names, types, shapes and values, whatever their file and their order."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_exactly(module: nn.Module, checkpoint: CheckpointFile) -> None:
    """Load the weights; `UserError` unless keys and shapes are exactly the module's."""
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    missing = [key for key in expected if key not in checkpoint.state]
    surplus = [key for key in checkpoint.state if key not in expected]
    if missing:
        raise UserError(
            f"it lacks {len(missing)} of {len(expected)} tensors, first {missing[0]}: "
            "it is only a part, or another network"
        )
    if surplus:
        raise UserError(f"it has {len(surplus)} tensors too many, first {surplus[0]}: it is another network")
    for key, shape in expected.items():
        if checkpoint.shapes[key] != shape:
            raise UserError(f"{key} has shape {checkpoint.shapes[key]}, not {shape}: it is another network")
    module.load_state_dict(checkpoint.state, strict=True)


@contextmanager
def name_file_in_errors(path: Path, description: str) -> Iterator[None]:
    """Begin the message of a `UserError`, or of a tensor that is missing, with the file and what it cannot be."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path} cannot be {description}: {error}") from error
    except LookupError as error:
        raise UserError(
            f"{path} cannot be {description}: it has no fitting {error.args[0]}: it is only a part, or another network"
        ) from error


def _read_tensorflow(path: Path, index: Path) -> CheckpointFile:
    state = _check_state(tensorflow.read_checkpoint(index))
    return CheckpointFile(path=path, state=state, format="TensorFlow checkpoint", sha256=digest_index(index))


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except Exception as error:  # of damaged bytes, or of a type that torch has not
        raise UserError(f"its safetensors are damaged: fetch it again ({error})") from error


def _unpickle(path: Path) -> object:
    """Return the content of a file of `torch.save`, as far as it is plain data."""
    damaged = "it is no checkpoint of torch or safetensors, or damaged: fetch it again"
    try:
        return read_torch(path, device=torch.device("cpu"), ignored=LIGHTNING)
    except pickle.UnpicklingError as error:
        # torch names the global that it refuses to import
        if "GLOBAL" in str(error):
            raise UserError("it holds pickled code, which is not run: save its state_dict alone") from error
        raise UserError(damaged) from error
    except Exception as error:  # damaged bytes make the reader raise nearly anything
        raise UserError(damaged) from error


def _select_state(content: object) -> tuple[object, str]:
    """Return the state dict in a file's content, and the name of the format."""
    for name in ("state_dict", "model"):  # the authors of DeiT write the second
        if isinstance(content, Mapping) and name in content:
            return content[name], f"dict with {name}"
    return content, "state dict"


def _check_state(content: object) -> dict[str, Tensor]:
    """Return the state dict with bare keys; `UserError` unless all its values are finite plain tensors."""
    if not isinstance(content, Mapping) or not content:
        raise UserError("it holds no state dict: save the network's state_dict")
    state = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"its entry {key!r} is no tensor, so it is no state dict: save the network's state_dict")
        try:
            require_plain(value)
        except ValueError as error:
            raise UserError(f"{key} {error}") from error
        if not torch.isfinite(value).all():
            raise UserError(f"{key} holds values that are not finite: take an earlier checkpoint")
        state[key] = value.detach()
    if all(key.startswith(PARALLEL_PREFIX) for key in state):
        return {key.removeprefix(PARALLEL_PREFIX): value for key, value in state.items()}
    return state
