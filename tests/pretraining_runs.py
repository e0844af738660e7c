"""A pre-training small enough for tests: config, stored features and command line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.checksums import checksums, write_record

CONFIG: dict[str, Any] = {
    "encoder": {"name": "pase", "options": {"embedding": 8, "width": 0.05}},
    "workers": {"lps": {"hidden": 4, "targets": "normalised"}, "mfcc": {"hidden": 4, "start_at_mean": True}},
    "weighting": {"name": "equal", "options": {}},
    "augmentation": {"name": "none", "options": {}},
    "recipe": {
        "epochs": 3,
        "steps_per_epoch": 4,
        "batch": 2,
        "chunk_seconds": 0.25,
        "encoder_learning_rate": 0.001,
        "worker_learning_rate": 0.0005,
        "schedule": "poly",
        "validation_batches": 1,
        "calibration_batches": 2,
        "save_state_seconds": 0,
    },
    "seed": 5,
    "corpus": "tones",
}


def config(**recipe: object) -> dict[str, Any]:
    """Return a copy of the config with changes of the recipe."""
    changed = copy.deepcopy(CONFIG)
    changed["recipe"] |= recipe
    return changed


def all_workers(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config with all six workers; prosody needs its stored targets."""
    names = ("lps", "prosody", "mfcc", "chroma", "tempogram")
    regressions = {name: {"hidden": 4, "targets": "normalised"} for name in names}
    return config | {"workers": {"waveform": {"width": 0.05}, **regressions}}


def arguments(
    config: dict[str, Any], *, corpus: Corpus, output: Path, features: dict[str, Path] | None = None
) -> list[str]:
    """Return the command line of `pretrain`."""
    stored_features = [text for name, path in (features or {}).items() for text in ("--features", f"{name}={path}")]
    flags = ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(corpus.folder)]
    return [*flags, *stored_features, "--output", str(output), "--threads", "1"]


def write_features(path: Path, corpus: Corpus, *, channels: int) -> np.ndarray:
    """Write and return stored features with values 1000 x clip + frame + 0.1 x channel."""
    frames = [1000 * row + np.arange(1 + length // 160) for row, length in enumerate(corpus.lengths)]
    values = (np.concatenate(frames)[None] + 0.1 * np.arange(channels)[:, None]).astype(np.float32)
    np.save(path, values)
    content = {"code": "c", "config_digest": "d", "data": {corpus.facts.dataset: corpus.facts.digest}}
    write_record(path.with_suffix(".json"), content, files=checksums(path))
    return values
