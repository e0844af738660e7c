"""Encoder and head trained together, trial by trial."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.progress import track
from workflow_scripts.training import trials
from workflow_scripts.training.cells import Cell, TrialResult
from workflow_scripts.training.crops import Crops, averaged
from workflow_scripts.training.device import autocast_type
from workflow_scripts.training.encoding import check_rate, embed_rows, read
from workflow_scripts.training.heads import OneHead
from workflow_scripts.training.losses import downstream_loss, probabilities
from workflow_scripts.training.stopping import EarlyStopping


def train_with_encoder(cell: Cell) -> list[TrialResult]:
    """Train and test every trial; trials that an interrupted job finished are taken from its store."""
    results = []
    for trial in track(range(cell.trials), description="trials", total=cell.trials):
        result = cell.finished.load(trial)
        if result is None:
            result = train_trial(cell, trial)
            cell.finished.store(result)
        results.append(result)
    return results


def train_trial(cell: Cell, trial: int) -> TrialResult:
    """Train encoder and head by Adam until validation stops improving, go back to the best epoch, and score the test
    split.

    One optimiser with one learning rate for both (Wu et al. 3.4: the same hyper-parameters in all scenarios). Batch
    normalisation learns while training and is fixed in evaluation. Training hears random crops, evaluation whole clips:
    the mean over time takes any length, or the encoder is evaluated by crops of its own.
    """
    clock = time.monotonic()
    model = _Model(cell, trial)
    rows, valid = cell.train_rows(trial), cell.rows("valid")
    optimiser = torch.optim.Adam(model.parameters(), lr=cell.settings.learning_rate)
    watch = EarlyStopping(patience=cell.settings.patience, trial=trial)
    best: dict[str, Tensor] = {}
    for epoch in range(cell.settings.max_epochs):
        model.train_epoch(optimiser, rows, epoch=epoch)
        if watch.improves(model.loss(valid)):
            best = {name: value.clone() for name, value in model.state_dict().items()}
        if watch.stopped:
            break
    model.load_state_dict(best)
    return TrialResult(
        trial=trial,
        scores=probabilities(cell.corpus.facts.task, model.logits(cell.rows("test"))).cpu().numpy(),
        epochs=watch.epochs,
        train_clips=len(rows),
        seconds=time.monotonic() - clock,
    )


def crops(corpus: Corpus, rows: np.ndarray, *, length: int, generator: np.random.Generator) -> np.ndarray:
    """Return a random part of each clip, float32 (rows, length); shorter clips are repeated."""
    starts = (generator.random(len(rows)) * np.maximum(corpus.lengths[rows] - length + 1, 1)).astype(np.int64)
    return np.stack(
        [read(corpus, int(row), start=int(start), length=length) for row, start in zip(rows, starts, strict=True)]
    )


class _Model(nn.Module):
    """The encoder and the head of one trial."""

    def __init__(self, cell: Cell, trial: int) -> None:
        super().__init__()
        assert cell.build_encoder is not None, "a scenario that trains the encoder needs one"
        self.cell, self.trial = cell, trial
        seed = int(trials.generator("encoder", trial).integers(2**31))
        self.encoder = cell.build_encoder(seed)
        check_rate(self.encoder, cell.corpus)
        torch.manual_seed(seed)  # what the encoder draws while it trains, such as dropout, belongs to the trial too
        self.classifier = OneHead(cell.build_head(self.encoder.pooled_size), trial=trial)
        self.precision = autocast_type("auto", cell.device)
        self.to(cell.device)

    def train_epoch(self, optimiser: torch.optim.Optimizer, rows: np.ndarray, *, epoch: int) -> None:
        """One pass over `rows` in the trial's order, one random crop per clip."""
        self.train()
        corpus, settings = self.cell.corpus, self.cell.settings
        length = self._crop_length(rows)
        generator = trials.generator("crop", self.trial, epoch)
        ordered = trials.order(rows, trial=self.trial, epoch=epoch)
        for first in range(0, len(ordered), settings.batch):
            batch = ordered[first : first + settings.batch]
            audio = torch.from_numpy(crops(corpus, batch, length=length, generator=generator)).to(self.cell.device)
            with torch.autocast(self.cell.device.type, dtype=self.precision, enabled=self.precision is not None):
                embeddings = self.encoder.pool(self.encoder(audio))
            loss = downstream_loss(corpus.facts.task, self.classifier(embeddings.float())[None], self._labels(batch))
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            optimiser.step()

    def _crop_length(self, rows: np.ndarray) -> int:
        """Samples of a training crop; without a setting one crop as in evaluation, else the longest clip of `rows`."""
        seconds = self.cell.settings.crop_seconds
        if seconds is not None:
            return self.encoder.chunk_length(seconds)
        return self.encoder.crop_length or int(self.cell.corpus.lengths[rows].max())

    @torch.no_grad()
    def logits(self, rows: np.ndarray) -> Tensor:
        """Logits (rows, classes) of whole clips, in evaluation mode; where there are crops, averaged over them."""
        corpus, task = self.cell.corpus, self.cell.corpus.facts.task
        embeddings = embed_rows(self.encoder, corpus, rows, device=self.cell.device)
        crops = Crops.of(corpus.lengths[rows], self.encoder.crop_length)
        if self.cell.settings.crops == "pool" and not crops.single:
            means = torch.from_numpy(crops.means(embeddings.cpu().numpy()))
            return self.classifier(means.to(self.cell.device))
        return averaged(task, self.classifier(embeddings), crops)

    def loss(self, rows: np.ndarray) -> float:
        """Mean loss over the whole clips of `rows`."""
        return downstream_loss(self.cell.corpus.facts.task, self.logits(rows)[None], self._labels(rows)).item()

    def _labels(self, rows: np.ndarray) -> Tensor:
        """Labels (1, rows, classes): the loss knows a trial axis."""
        return torch.from_numpy(self.cell.corpus.labels[rows]).to(self.cell.device)[None]
