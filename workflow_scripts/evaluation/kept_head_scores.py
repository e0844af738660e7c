"""Probabilities of clips by a kept head on embeddings."""

from __future__ import annotations

import numpy as np
import torch

from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.crops import Crops, average_predictions
from workflow_scripts.evaluation.frozen import standardise
from workflow_scripts.evaluation.losses import probabilities
from workflow_scripts.levels import registry
from workflow_scripts.networks.head_interfaces import Head
from workflow_scripts.statistics.kept_heads import INPUT_MEAN, INPUT_STD, KeptHead


@torch.inference_mode()
def score_clips(kept: KeptHead, embeddings: np.ndarray, *, crops: Crops) -> np.ndarray:
    """Compute probabilities (clips, classes), float32, of clips with these embeddings (crops, size) of their crops.

    They are those that the head's trial gave the same clips. Raises `UserError` for a head on maps, and for embeddings
    of another size.
    """
    level = registry.load("head", kept.name)
    if level.READS != "embedding":
        raise UserError(f"head {kept.name} reads maps, not embeddings: choose a head on embeddings")
    if kept.crops == "pool" and not crops.single:
        embeddings, crops = crops.pool(embeddings), Crops(np.arange(len(crops.counts) + 1))
    if INPUT_MEAN in kept.tensors:
        if embeddings.shape[1] != len(kept.tensors[INPUT_MEAN]):
            raise _misfit(kept, embeddings)
        embeddings = standardise(embeddings, mean=kept.tensors[INPUT_MEAN], std=kept.tensors[INPUT_STD])
    options = registry.options(level, kept.options)
    head: Head = level.build(options, inputs=embeddings.shape[1], outputs=len(kept.classes))
    parameters = {name: torch.from_numpy(value)[None] for name, value in kept.weights.items()}
    try:
        logits = head.apply(parameters, torch.tensor(embeddings, dtype=torch.float32)[None])[0]
    except RuntimeError as error:
        raise _misfit(kept, embeddings) from error
    return probabilities(kept.task, average_predictions(kept.task, logits, crops)).numpy()


def _misfit(kept: KeptHead, embeddings: np.ndarray) -> UserError:
    return UserError(f"head {kept.name} does not fit embeddings of {embeddings.shape[1]} channels: use its encoder's")
