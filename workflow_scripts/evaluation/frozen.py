"""Training of heads on frozen embeddings, for all trials of a cell at once."""

from __future__ import annotations

import time

import numpy as np
import torch

from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.losses import probabilities
from workflow_scripts.evaluation.stacked_heads import LabelledEmbeddings, compute_logits, train_heads
from workflow_scripts.evaluation.task import EvaluationTask, TrialResult, TrialWeights
from workflow_scripts.statistics.kept_heads import INPUT_MEAN, INPUT_STD


def train_on_embeddings(cell: EvaluationTask) -> list[TrialResult]:
    """Train and test the heads of all trials on the embeddings of the cell.

    With `crops: pool`, the embeddings of the crops of a clip are averaged instead of their probabilities. The seconds
    of a trial are its equal share of the total.
    """
    started = time.monotonic()
    assert cell.embeddings is not None, "a scenario on frozen embeddings needs embeddings"
    if cell.settings.phases:
        raise UserError("training: phases are for scenarios that train the encoder: leave them out")
    _require_finite(cell.embeddings)
    # pool crops, standardise on the training clips
    inputs, crops = cell.embeddings, Crops.from_lengths(cell.corpus.lengths, cell.crop_length)
    if cell.settings.crops == "pool" and not crops.single:
        inputs, crops = crops.pool(inputs), Crops.from_lengths(cell.corpus.lengths, None)
    head = cell.build_head(inputs.shape[1])
    moments: dict[str, np.ndarray] = {}
    if head.standardise:
        mean, std = moments_of(inputs[crops.rows(cell.rows("train"))])
        inputs, moments = standardise(inputs, mean=mean, std=std), {INPUT_MEAN: mean, INPUT_STD: std}
    # train the heads of all trials
    task = cell.corpus.facts.task
    data = LabelledEmbeddings(
        embeddings=torch.tensor(inputs, dtype=torch.float32, device=cell.device),
        labels=torch.tensor(cell.corpus.labels, device=cell.device),
        task=task,
        crops=crops,
    )
    train = [cell.label_subset(trial, segments=crops.counts) for trial in range(cell.trials)]
    heads = train_heads(
        head, data, trials=range(cell.trials), train=train, valid=cell.rows("valid"), settings=cell.settings
    )
    # score the test split
    logits = compute_logits(head, heads.parameters, data, clips=cell.rows("test"), indices=range(cell.trials))
    scores = [probabilities(task, trial_logits).cpu().numpy() for trial_logits in logits]
    seconds = (time.monotonic() - started) / cell.trials
    first = TrialWeights(head={name: value[0].cpu().numpy() for name, value in heads.parameters.items()} | moments)
    return [
        TrialResult(
            trial=trial,
            scores=scores[trial],
            epochs=heads.epochs[trial],
            train_clips=train[trial].clips,
            seconds=seconds,
            learning_rate=heads.learning_rates[trial],
            validation_loss=heads.validation_losses[trial],
            validation=heads.validation[trial],
            weights=first if trial == 0 and cell.keeps_first else None,
        )
        for trial in range(cell.trials)
    ]


def moments_of(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, float64; the deviation of a constant channel is 1."""
    reference = embeddings.astype(np.float64)  # float32 sums lose the deviation of channels with a large mean
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    return mean, np.where(std <= np.finfo(np.float32).eps * np.abs(mean), 1.0, std)


def standardise(embeddings: np.ndarray, *, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Standardise each channel by its mean and standard deviation over other embeddings, float32."""
    return ((embeddings - mean) / std).astype(np.float32)


def _require_finite(embeddings: np.ndarray) -> None:
    invalid = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(invalid):
        raise UserError(
            f"the embeddings of {len(invalid)} clips are not finite (first: row {invalid[0]}): "
            "the encoder is broken; pre-train it again"
        )
