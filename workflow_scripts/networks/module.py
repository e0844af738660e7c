"""Encoders from a class in a file of the user's."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.external import ExternalEncoder, name_in_errors, require_rate

FACTS = ("sampling_rate", "output_dim", "hop_size_in_ms")  # members that the class states, as X-ARES names them


class ModuleEncoder(ExternalEncoder):
    """The mean over the frames of a class that maps (batch, samples) to (batch, frames, size)."""

    def __init__(self, path: Path, *, name: str, sample_rate: int, seconds: float | None) -> None:
        """Build the class `name` of the file `path`; raises `UserError` if it cannot be built or states other facts."""
        with name_in_errors(str(path)):
            network = _build(path, name)
        facts: dict[str, Any] = {fact: getattr(network, fact, None) for fact in FACTS}
        lacking = [fact for fact, value in facts.items() if not isinstance(value, int | float)]
        if lacking:
            raise UserError(f"{path}: {type(network).__name__} states no {', '.join(lacking)}: see docs/own-encoder.md")
        require_rate(sample_rate, facts["sampling_rate"])
        super().__init__(sample_rate=sample_rate, seconds=seconds, size=int(facts["output_dim"]))
        self.name, self.network = str(path), network
        self.hop_seconds = float(facts["hop_size_in_ms"]) / 1000

    def encode(self, windows: Tensor) -> Tensor:
        """Return the mean over the frames of each window. Raises `UserError` unless frames come as stated."""
        return self.own_frames(windows)[0].mean(dim=1)

    def own_frames(self, windows: Tensor) -> tuple[Tensor, float]:
        """Return the network's frames and the seconds between two; raises `UserError` if their shape is another."""
        frames = self.network(windows)
        if not isinstance(frames, Tensor):
            raise UserError(f"{type(self.network).__name__} gives a {type(frames).__name__}, not a torch.Tensor")
        if frames.ndim != 3 or frames.shape[-1] != self.embedding_size:
            raise UserError(
                f"{type(self.network).__name__} gives shape {tuple(frames.shape)}, not (batch, frames, "
                f"{self.embedding_size}): correct its output or output_dim"
            )
        return frames, self.hop_seconds


def _build(path: Path, name: str) -> nn.Module:
    """Build the class."""
    module = _load(path)
    classes = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    }
    chosen = classes.get(name) if name else next(iter(classes.values()), None)
    if chosen is None or (not name and len(classes) > 1):
        names = ", ".join(classes) or "none"
        raise UserError(f"{path}: state `name`, a subclass of torch.nn.Module in the file; it has {names}")
    return chosen()


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(f"prelude_external_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses look up their types
    if (folder := str(path.parent.resolve())) not in sys.path:
        sys.path.append(folder)  # for the files that it imports; installed packages come first
    spec.loader.exec_module(module)
    return module
