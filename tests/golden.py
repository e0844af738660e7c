"""Golden parity cases: networks with weights derived from official key names, and the results of the official code.

The README of the cases describes their format and the rule for the weights; each case is a json and an npz file of the
same name.
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
STORED_KINDS = ("stored", "computed")


def make_rng(name: str) -> np.random.Generator:
    """Create a generator seeded by a text."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def fill_values(key: str, shape: list[int], kind: str) -> np.ndarray:
    """Compute the values of a parameter or buffer from its official key."""
    if kind == "zero":
        return np.zeros(shape, np.int64)
    normal = make_rng(key).standard_normal(tuple(shape))
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
        """Compute an input, and check its first values."""
        entry = next(entry for entry in self.facts["inputs"] if entry["name"] == name)
        values = make_rng(entry["seed"]).standard_normal(tuple(entry["shape"]))
        if entry["kind"] == "audio":
            time = np.arange(entry["shape"][-1]) / entry["sample_rate"]
            values = 0.1 * values + 0.3 * np.sin(2 * np.pi * 220 * time)
        else:
            values = entry.get("scale", 1.0) * (abs(values) if entry["kind"] == "abs_normal" else values)
        result = values.astype(np.float32)
        np.testing.assert_allclose(result.ravel()[:3], entry["check"], rtol=1e-6)
        return torch.from_numpy(result)

    def target(self, output: Tensor) -> Tensor:
        """Compute the target of the training pass."""
        values = make_rng(f"{self.name}/target").standard_normal(tuple(output.shape))
        return torch.from_numpy(values.astype(np.float32))

    def load_into(self, module: nn.Module) -> None:
        """Load the weights into `module`, which must have exactly the official keys, order and shapes."""
        state = {
            entry["key"]: torch.from_numpy(
                self.arrays[f"param:{entry['key']}"]
                if entry["fill"] in STORED_KINDS
                else np.asarray(fill_values(entry["key"], entry["shape"], entry["fill"]))
            )
            for entry in self.facts["params"]
        }
        assert list(module.state_dict()) == list(state)
        module.load_state_dict(state, strict=True)

    def error(self, name: str, output: Tensor) -> float:
        """Compute the largest error of an output as a fraction of its tolerance."""
        entry = next(entry for entry in self.facts["outputs"] if entry["name"] == name)
        assert list(output.shape) == entry["full_shape"]
        values = output.detach().numpy()
        if "index" in entry:
            values = values[_parse_slices(entry["index"])]
        stored = self.arrays[name]
        assert values.shape == stored.shape
        return float((abs(values - stored) / (entry["atol"] + entry["rtol"] * abs(stored))).max())

    def scalar_error(self, name: str, value: float) -> float:
        """Compute the error of a scalar as a fraction of its tolerance."""
        entry = next(entry for entry in self.facts["scalars"] if entry["name"] == name)
        return abs(value - entry["value"]) / (abs(entry["value"]) * entry["rtol"])

    def check_training_pass(self, module: nn.Module, inputs: Tensor) -> None:
        """Repeat the training pass of the case and compare every scalar: loss, norms of gradients and buffers."""
        module.train()
        output = module(inputs)
        loss = (output - self.target(output)).square().mean()
        loss.backward()
        parameters, state = dict(module.named_parameters()), module.state_dict()
        for entry in self.facts["scalars"]:
            kind, _, key = entry["name"].partition(":")
            value = {
                "train_loss": lambda _: loss,
                "train_grad_norm": lambda key: parameters[key].grad.norm(),
                "after_one_train_forward_norm": lambda key: state[key].norm(),
            }[kind](key)
            error = self.scalar_error(entry["name"], float(value.detach()))
            assert error <= 1, f"{entry['name']}: {error:.2f} times the tolerance"


def open_case(name: str) -> Case:
    """Open a case; skip the test if the reference data is absent."""
    if not FOLDER.is_dir():
        pytest.skip(f"reference data is absent: {FOLDER}")
    return Case(name)


def _parse_slices(text: str) -> tuple[slice, ...]:
    """Parse a text such as `[:, ::8, ::640]` into slices."""
    parts = [part.strip().split(":") for part in text.strip("[]").split(",")]
    return tuple(slice(*(int(bound) if bound else None for bound in part)) for part in parts)
