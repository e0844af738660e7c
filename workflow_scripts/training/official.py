"""Published checkpoints: encoders, regression heads and waveform decoders of the PASE code, encoders of the CLMR code,
and U-Nets, back ends and joint networks of the MSSPT code.

The files hold a bare state dict, or a dict with `state_dict` (or `model`) beside other things (`step` and `optimizer`,
or what Lightning keeps). Sizes are read from the tensors' shapes. Pickled code is never run.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from workflow_scripts import levels
from workflow_scripts.errors import UserError
from workflow_scripts.networks import msspt_joint
from workflow_scripts.networks.decoder import STRIDES, WaveformDecoder
from workflow_scripts.networks.heads import RegressionHead
from workflow_scripts.networks.msspt_joint import JointNetwork
from workflow_scripts.networks.short_chunk_cnn import ShortChunkCnn
from workflow_scripts.training import tensorflow_checkpoint
from workflow_scripts.training.shapes import Encoder

PARALLEL_PREFIX = "module."  # what torch's DataParallel puts before each key
SAFETENSORS_BRACE = 8  # place of the header's opening brace, behind its length in eight bytes
#: classes beside the weights in Lightning's files are read as empty ones: nothing of them is used
LIGHTNING = ("pytorch_lightning.", "lightning.", "argparse.Namespace")

Network = TypeVar("Network", bound=nn.Module)


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
        if (index := tensorflow_checkpoint.index_of(path)) is not None:
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


def encoder(published: Published, *, name: str, options: Mapping[str, object] | None = None) -> tuple[Encoder, Any]:
    """Build encoder `name` with the published weights, in evaluation mode; also return its level's `Options`.

    These are read from the shapes; `options` of a config, where given, must agree. Raises `UserError` if the file holds
    another network, or only a part of one.
    """
    level = levels.load("encoder", name)
    if not hasattr(level, "options_of"):
        known = [other for other in levels.names("encoder") if hasattr(levels.load("encoder", other), "options_of")]
        raise UserError(f"encoder {name} has no published checkpoints: choose one of {', '.join(known)}")
    with explained(published.path, f"imported as {name}"):
        if hasattr(level, "official_weights"):
            published = replace(published, state=level.official_weights(published.state))
        found = level.options_of(published.shapes)
        if options is not None and levels.options(level, options) != found:
            raise UserError(
                f"it holds {_listed(found)}, not {_listed(levels.options(level, options))}: leave the options out or "
                "give those of the file"
            )
        built: Encoder = level.build(found)
        load_exactly(built, published)
    return built.eval(), found


def regression_head(published: Published, *, outputs: int | None = None) -> RegressionHead:
    """Build a worker's head (class `MLPMinion`) with the published weights, in evaluation mode.

    The file tells the values per frame, not of how many frames they are: `outputs` says how many values a frame has,
    and the rest are neighbouring frames (7 in workers+.cfg). Raises `UserError` if the file holds something else.
    """
    with explained(published.path, "imported as a regression head"):
        shapes = published.shapes
        layers = sum(key.startswith("blocks.") and key.endswith(".W.weight") for key in shapes)
        first = shapes["blocks.0.W.weight" if layers else "W.weight"]
        predicted = shapes["W.weight"][0]
        neighbours, left = divmod(predicted, outputs or predicted)
        if left or neighbours % 2 == 0:
            raise UserError(f"it predicts {predicted} values, which are no odd number of frames of {outputs}")
        head = RegressionHead(
            inputs=first[1],
            outputs=outputs or predicted,
            hidden=first[0],
            hidden_layers=layers,
            context=first[2],
            neighbours=neighbours,
        )
        load_exactly(head, published)
    return head.eval()


def waveform_decoder(published: Published) -> WaveformDecoder:
    """Build the waveform decoder (class `DecoderMinion`) with the published weights, in evaluation mode.

    The file does not tell the strides; they are those of workers.cfg and workers+.cfg. Raises `UserError` if the file
    holds something else.
    """
    with explained(published.path, "imported as a waveform decoder"):
        shapes = published.shapes
        blocks = sum(key.startswith("blocks.") and key.endswith(".deconv.weight") for key in shapes)
        layers = sum(key.startswith("blocks.") and key.endswith(".W.weight") for key in shapes)
        if blocks != len(STRIDES):
            raise UserError(f"it has {blocks} transposed convolutions, not {len(STRIDES)}")
        upsampling = [shapes[f"blocks.{number}.deconv.weight"] for number in range(blocks)]
        decoder = WaveformDecoder(
            inputs=upsampling[0][0],
            outputs=shapes["W.weight"][0],
            maps=[shape[1] for shape in upsampling],
            kernels=[shape[2] for shape in upsampling],
            hidden=shapes["W.weight"][1],
            hidden_layers=layers,
        )
        load_exactly(decoder, published)
    return decoder.eval()


def short_chunk_cnn(published: Published) -> ShortChunkCnn:
    """Build the back end of the MSSPT code alone with the published weights, in evaluation mode.

    Raises `UserError` if the file holds something else, or only a part.
    """
    return _renamed_network(
        published,
        what="a Short-Chunk CNN",
        weights=msspt_joint.back_end_weights,
        build=msspt_joint.back_end_of,
    )


def joint_network(published: Published) -> JointNetwork:
    """Build the joint network of the MSSPT code's first version with the published weights, in evaluation mode.

    Raises `UserError` if the file holds something else, or only a part.
    """
    return _renamed_network(
        published, what="a joint network", weights=msspt_joint.joint_weights, build=msspt_joint.joint_of
    )


def _renamed_network(
    published: Published,
    *,
    what: str,
    weights: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    build: Callable[[dict[str, tuple[int, ...]]], Network],
) -> Network:
    """Build the network that weights of other names belong to, with them, in evaluation mode."""
    with explained(published.path, f"imported as {what}"):
        published = replace(published, state=weights(published.state))
        network = build(published.shapes)
        load_exactly(network, published)
    return network.eval()


def _tensorflow(path: Path, index: Path) -> Published:
    sha256 = hashlib.sha256()
    for part in tensorflow_checkpoint.files(index):
        with part.open("rb") as file:
            sha256.update(hashlib.file_digest(file, "sha256").digest())
    state = _checked(tensorflow_checkpoint.read(index))
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


def _listed(options: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(options).items())
