"""Encoders as jobs ask for them: untrained, or with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from workflow_scripts import levels
from workflow_scripts.training.checkpoint import load_encoder
from workflow_scripts.training.shapes import Encoder


def build_encoder(choice: Mapping[str, Any], *, seed: int, checkpoint: Path | None) -> Encoder:
    """Build the encoder of `choice` {name, options}: read from `checkpoint` where there is one, else drawn from `seed`.

    Raises `UserError` when the checkpoint is missing, unreadable or of another encoder.
    """
    if checkpoint is not None:
        return load_encoder(checkpoint, name=choice["name"], options=choice["options"])
    level = levels.load("encoder", choice["name"])
    torch.manual_seed(seed)
    encoder: Encoder = level.build(levels.options(level, choice["options"]))
    return encoder
