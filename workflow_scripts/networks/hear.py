"""Encoders from modules with the HEAR API."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from numbers import Integral
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.external import ExternalEncoder, name_in_errors, require_rate

API = ("load_model", "get_scene_embeddings")
FACTS = ("sample_rate", "scene_embedding_size")  # that the model states


class HearEncoder(ExternalEncoder):
    """The scene embeddings of a HEAR module's model; its weights, if it is a `torch.nn.Module`, are the encoder's."""

    promises_gradients = False

    def __init__(self, module: str, *, folder: str, weights: str, sample_rate: int, seconds: float | None) -> None:
        """Load the model of `module`, found in `folder` or installed, with `weights`, a file, or its own if empty.

        Raises `UserError` if it cannot be loaded, or lacks a part of the API.
        """
        with name_in_errors(module):
            api = _import(module, folder)
            if lacking := [name for name in API if not callable(getattr(api, name, None))]:
                raise UserError(f"{module} has no {' and no '.join(lacking)}: it has not the HEAR API")
            model = api.load_model(weights) if weights else api.load_model()
        if lacking := [fact for fact in FACTS if not isinstance(getattr(model, fact, None), Integral)]:
            raise UserError(f"the model of {module} states no {' and no '.join(lacking)}, as the HEAR API asks")
        require_rate(sample_rate, int(model.sample_rate))
        super().__init__(sample_rate=sample_rate, seconds=seconds, size=int(model.scene_embedding_size))
        self.name, self.api, self.network = module, api, model
        if isinstance(model, nn.Module):
            model.eval()

    def encode(self, windows: Tensor) -> Tensor:
        """Return the scene embedding of each window."""
        embeddings = self.api.get_scene_embeddings(windows, self.network)
        if not isinstance(embeddings, Tensor):
            embeddings = torch.from_numpy(np.asarray(embeddings))
        return embeddings.to(windows.device)

    def own_frames(self, windows: Tensor) -> tuple[Tensor, float] | None:
        """Return the module's embeddings over time and the seconds between their times; None if there are too few."""
        embed = getattr(self.api, "get_timestamp_embeddings", None)
        if embed is None:
            return None
        frames, milliseconds = embed(windows, self.network)
        steps = np.diff(np.asarray(milliseconds, np.float64)[0])
        return (frames, float(np.median(steps)) / 1000) if len(steps) else None


def _import(module: str, folder: str) -> ModuleType:
    """Import a module, of a folder before all others if one is given, even if another has its name."""
    if not folder:
        return importlib.import_module(module)
    package = module.partition(".")[0]
    spec, loaded = PathFinder.find_spec(package, [folder]), sys.modules.get(package)
    if spec and loaded and (loaded.__spec__ is None or loaded.__spec__.origin != spec.origin):
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    return importlib.import_module(module)
