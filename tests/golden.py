"""Golden parity cases: networks filled by rule from their official key names, and the official code's results.

The README beside the cases describes format and fill rule; each case is a json and an npz of the same name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parents[2] / "shared" / "reference" / "golden"
FILLED_BEFORE = ("stored", "computed")


def generator(name: str) -> np.random.Generator:
    """Generator seeded by a text."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def filled(key: str, shape: list[int], kind: str) -> np.ndarray:
    """Values of a parameter or buffer by its official key."""
    if kind == "zero":
        return np.zeros(shape, np.int64)
    normal = generator(key).standard_normal(tuple(shape))
    values = {
        "weight": lambda: normal / np.sqrt(np.prod(shape[1:])),
        "keras_kernel": lambda: normal / np.sqrt(np.prod(shape[:-1])),
        "mean": lambda: 0.1 * normal,
        "bias": lambda: 0.1 * normal,
        "token": lambda: 0.1 * normal,
        "var": lambda: 1 + 0.1 * abs(normal),
        "scale": lambda: 1 + 0.1 * normal,
        "prelu": lambda: 0.25 + 0.05 * normal,
    }[kind]()
    return values.astype(np.float32)


@dataclass(frozen=True)
class Case:
    """One golden case."""

    name: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        return json.loads((FOLDER / f"{self.name}.json").read_text(encoding="utf-8"))

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(FOLDER / f"{self.name}.npz") as stored:
            return dict(stored)

    def input(self, name: str) -> Tensor:
        """Return an input, after checking the first values the case states."""
        entry = next(entry for entry in self.facts["inputs"] if entry["name"] == name)
        values = generator(entry["seed"]).standard_normal(tuple(entry["shape"]))
        if entry["kind"] == "audio":
            time = np.arange(entry["shape"][-1]) / entry["sample_rate"]
            values = 0.1 * values + 0.3 * np.sin(2 * np.pi * 220 * time)
        else:
            values = entry.get("scale", 1.0) * (abs(values) if entry["kind"] == "abs_normal" else values)
        result = values.astype(np.float32)
        np.testing.assert_allclose(result.ravel()[:3], entry["check"], rtol=1e-6)
        return torch.from_numpy(result)

    def target(self, output: Tensor) -> Tensor:
        """Return the target of the case's training pass."""
        values = generator(f"{self.name}/target").standard_normal(tuple(output.shape))
        return torch.from_numpy(values.astype(np.float32))

    def load_into(self, module: nn.Module) -> None:
        """Fill `module` strictly: every official key in the official order and shape, and no other."""
        state = {
            entry["key"]: torch.from_numpy(
                self.arrays[f"param:{entry['key']}"]
                if entry["fill"] in FILLED_BEFORE
                else np.asarray(filled(entry["key"], entry["shape"], entry["fill"]))
            )
            for entry in self.facts["params"]
        }
        assert list(module.state_dict()) == list(state)
        module.load_state_dict(state, strict=True)

    def error(self, name: str, found: Tensor) -> float:
        """Largest error of an output as a fraction of its tolerance."""
        entry = next(entry for entry in self.facts["outputs"] if entry["name"] == name)
        assert list(found.shape) == entry["full_shape"]
        values = found.detach().numpy()
        if "index" in entry:
            values = values[_slices(entry["index"])]
        stored = self.arrays[name]
        assert values.shape == stored.shape
        return float((abs(values - stored) / (entry["atol"] + entry["rtol"] * abs(stored))).max())

    def scalar_error(self, name: str, found: float) -> float:
        """Error of a scalar as a fraction of its tolerance."""
        entry = next(entry for entry in self.facts["scalars"] if entry["name"] == name)
        return abs(found - entry["value"]) / (abs(entry["value"]) * entry["rtol"])

    def check_training_pass(self, module: nn.Module, given: Tensor) -> None:
        """Repeat the case's pass in train mode and compare every stated scalar: loss, gradient and buffer norms."""
        module.train()
        output = module(given)
        loss = (output - self.target(output)).square().mean()
        loss.backward()
        parameters, state = dict(module.named_parameters()), module.state_dict()
        for entry in self.facts["scalars"]:
            kind, _, key = entry["name"].partition(":")
            found = {
                "train_loss": lambda _: loss,
                "train_grad_norm": lambda key: parameters[key].grad.norm(),
                "after_one_train_forward_norm": lambda key: state[key].norm(),
            }[kind](key)
            error = self.scalar_error(entry["name"], float(found.detach()))
            assert error <= 1, f"{entry['name']}: {error:.2f} times the tolerance"


def case(name: str) -> Case:
    """Open a case; skip the test where the reference data is absent."""
    if not FOLDER.is_dir():
        pytest.skip(f"reference data is absent: {FOLDER}")
    return Case(name)


def _slices(text: str) -> tuple[slice, ...]:
    """Turn `[:, ::8, ::640]` into slices."""
    parts = [part.strip().split(":") for part in text.strip("[]").split(",")]
    return tuple(slice(*(int(bound) if bound else None for bound in part)) for part in parts)
