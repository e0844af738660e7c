"""Heads on frozen embeddings: one batched pass for all trials of a cell."""

from __future__ import annotations

import time

import numpy as np
import torch

from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.losses import probabilities
from workflow_scripts.evaluation.stacked_heads import LabelledEmbeddings, compute_logits, train_heads
from workflow_scripts.evaluation.task import EvaluationTask, TrialResult


def train_on_embeddings(cell: EvaluationTask) -> list[TrialResult]:
    """Train and test every trial's head on the cell's embeddings. A trial's seconds are its equal share of the pass.

    Where the settings say so, the embeddings of a clip's crops are averaged before instead of its probabilities after.
    """
    clock = time.monotonic()
    assert cell.embeddings is not None, "a scenario on frozen embeddings needs embeddings"
    if cell.settings.phases:
        raise UserError("training: phases are for scenarios that train the encoder: leave them out")
    _require_finite(cell.embeddings)
    inputs, crops = cell.embeddings, Crops.of(cell.corpus.lengths, cell.crop_length)
    if cell.settings.crops == "pool" and not crops.single:
        inputs, crops = crops.means(inputs), Crops.of(cell.corpus.lengths, None)
    head = cell.build_head(inputs.shape[1])
    if head.standardise:
        inputs = standardise(inputs, rows=crops.rows(cell.rows("train")))
    task = cell.corpus.facts.task
    data = LabelledEmbeddings(
        embeddings=torch.tensor(inputs, dtype=torch.float32, device=cell.device),
        labels=torch.tensor(cell.corpus.labels, device=cell.device),
        task=task,
        crops=crops,
    )
    train = [cell.train_rows(trial) for trial in range(cell.trials)]
    fitted = train_heads(
        head, data, numbers=range(cell.trials), train=train, valid=cell.rows("valid"), settings=cell.settings
    )
    logits = compute_logits(head, fitted.parameters, data, clips=cell.rows("test"), places=range(cell.trials))
    scores = [probabilities(task, one).cpu().numpy() for one in logits]
    seconds = (time.monotonic() - clock) / cell.trials
    return [
        TrialResult(
            trial=trial,
            scores=scores[trial],
            epochs=fitted.epochs[trial],
            train_clips=len(train[trial]),
            seconds=seconds,
        )
        for trial in range(cell.trials)
    ]


def standardise(embeddings: np.ndarray, *, rows: np.ndarray) -> np.ndarray:
    """Embeddings with mean 0 and deviation 1 over `rows`, channel by channel; constant channels become 0 on those
    rows.
    """
    known = embeddings[rows].astype(np.float64)  # float32 sums lose the deviation of channels with a large mean
    deviation = known.std(axis=0)
    constant = deviation <= np.finfo(np.float32).eps * np.abs(known.mean(axis=0))
    return ((embeddings - known.mean(axis=0)) / np.where(constant, 1.0, deviation)).astype(np.float32)


def _require_finite(embeddings: np.ndarray) -> None:
    broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(broken):
        raise UserError(
            f"the embeddings of {len(broken)} clips are not finite (first: row {broken[0]}): "
            "the encoder is broken; pre-train it again"
        )
