"""Encoder and head of one trial, as one module that learns from random crops and is tested on whole clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import check_sample_rate
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.evaluation.crops import Crops, average_predictions
from workflow_scripts.evaluation.embedding import MAX_BATCH_SAMPLES, embed_clips, read_samples
from workflow_scripts.evaluation.losses import downstream_loss, probabilities
from workflow_scripts.evaluation.task import EvaluationTask
from workflow_scripts.evaluation.trial_heads import TrialHead
from workflow_scripts.networks.maps import Maps
from workflow_scripts.pretraining.device import autocast_type
from workflow_scripts.statistics.predictions import Windows

#: a window of silence, short, whose maps tell how many channels there are; 64 frames of 10 ms are the U-Net's fewest
PROBE_SAMPLES = 64 * 160 + 352


def build_model(cell: EvaluationTask, trial: int) -> TrialModel:
    """Build the model of a trial with its first weights, on the cell's device; the head says what it reads."""
    return (EmbeddingModel if cell.build_maps_head is None else MapsModel)(cell, trial)


def read_random_crops(corpus: Corpus, rows: np.ndarray, *, length: int, generator: np.random.Generator) -> np.ndarray:
    """Return a random part of each clip, float32 (rows, length); shorter clips are repeated."""
    starts = (generator.random(len(rows)) * np.maximum(corpus.lengths[rows] - length + 1, 1)).astype(np.int64)
    return np.stack(
        [
            read_samples(corpus, int(row), start=int(start), length=length)
            for row, start in zip(rows, starts, strict=True)
        ]
    )


class TrialModel(nn.Module, ABC):
    """The encoder and the head of one trial."""

    def __init__(self, cell: EvaluationTask, trial: int) -> None:
        """Build the encoder that the trial starts from."""
        super().__init__()
        assert cell.build_encoder is not None, "a scenario that trains the encoder needs one"
        self.cell, self.trial = cell, trial
        self.seed = int(trial_seeds.make_rng("encoder", trial).integers(2**31))
        self.encoder = cell.build_encoder(self.seed)
        check_sample_rate(self.encoder, cell.corpus)
        self.precision = autocast_type("auto", cell.device)

    def train_epoch(self, optimiser: torch.optim.Optimizer, rows: np.ndarray, *, epoch: int) -> None:
        """One pass over `rows` in the trial's order, one random crop per clip."""
        self.train()
        settings = self.cell.settings
        length = self.crop_length(rows)
        generator = trial_seeds.make_rng("crop", self.trial, epoch)
        ordered = trial_seeds.shuffle_rows(rows, trial=self.trial, epoch=epoch)
        for first in range(0, len(ordered), settings.batch):
            batch = self.as_batch(ordered[first : first + settings.batch])
            audio = read_random_crops(self.cell.corpus, batch, length=length, generator=generator)
            logits = self.heard(torch.from_numpy(audio).to(self.cell.device))
            loss = downstream_loss(self.cell.corpus.facts.task, logits[None], self._labels(batch))
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            optimiser.step()

    @torch.no_grad()
    def validation_loss(self, rows: np.ndarray) -> float:
        """Mean loss over the whole clips of `rows`, in evaluation mode."""
        return downstream_loss(self.cell.corpus.facts.task, self.logits(rows)[None], self._labels(rows)).item()

    @torch.no_grad()
    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities (rows, classes) of whole clips, float32, in evaluation mode."""
        return probabilities(self.cell.corpus.facts.task, self.logits(rows, test=True)).cpu().numpy()

    def windows(self, rows: np.ndarray) -> Windows | None:  # noqa: ARG002 - for those that hear them
        """What the head hears of clips window by window, in evaluation mode; None where it hears them otherwise."""
        return None

    def as_batch(self, rows: np.ndarray) -> np.ndarray:
        """Clips of a training step: one left alone is heard twice where batch normalisation lacks a second value."""
        return np.repeat(rows, 2) if len(rows) == 1 and self.hears_windows else rows

    @property
    @abstractmethod
    def hears_windows(self) -> bool:
        """Whether a crop is a window, of which a map may have a single frame."""

    @abstractmethod
    def crop_length(self, rows: np.ndarray) -> int:
        """Samples of a training crop of `rows`."""

    @abstractmethod
    def heard(self, audio: Tensor) -> Tensor:
        """Logits (batch, classes), float32, of crops (batch, samples), for learning."""

    @abstractmethod
    def logits(self, rows: np.ndarray, *, test: bool = False) -> Tensor:
        """Logits (rows, classes) of whole clips, in evaluation mode; `test` may ask for more care."""

    def _labels(self, rows: np.ndarray) -> Tensor:
        """Labels (1, rows, classes): the loss knows a trial axis."""
        return torch.from_numpy(self.cell.corpus.labels[rows]).to(self.cell.device)[None]


class EmbeddingModel(TrialModel):
    """A head on the encoder's embedding: of whole clips in evaluation, or of the encoder's own crops."""

    def __init__(self, cell: EvaluationTask, trial: int) -> None:
        """Build encoder and head."""
        super().__init__(cell, trial)
        torch.manual_seed(self.seed)  # what the encoder draws while it trains, such as dropout, is the trial's too
        self.classifier = TrialHead(cell.build_head(self.encoder.pooled_size), trial=trial)
        self.to(cell.device)

    @property
    def hears_windows(self) -> bool:
        """Whether the encoder is evaluated by crops of its own."""
        return self.encoder.crop_length is not None

    def crop_length(self, rows: np.ndarray) -> int:
        """Without a setting one crop as in evaluation, else the longest clip of `rows`."""
        seconds = self.cell.settings.crop_seconds
        if seconds is not None:
            return self.encoder.chunk_length(seconds)
        return self.encoder.crop_length or int(self.cell.corpus.lengths[rows].max())

    def heard(self, audio: Tensor) -> Tensor:
        """Logits by the embedding of each crop."""
        with torch.autocast(self.cell.device.type, dtype=self.precision, enabled=self.precision is not None):
            embeddings = self.encoder.pool(self.encoder(audio))
        return self.classifier(embeddings.float())

    def logits(self, rows: np.ndarray, *, test: bool = False) -> Tensor:  # noqa: ARG002 - both alike
        """Logits by the embedding of each clip; where there are crops, averaged over them."""
        corpus = self.cell.corpus
        embeddings = embed_clips(self.encoder, corpus, rows, device=self.cell.device)
        read_random_crops = Crops.of(corpus.lengths[rows], self.encoder.crop_length)
        if self.cell.settings.crops == "pool" and not read_random_crops.single:
            means = torch.from_numpy(read_random_crops.means(embeddings.cpu().numpy()))
            return self.classifier(means.to(self.cell.device))
        return average_predictions(corpus.facts.task, self.classifier(embeddings), read_random_crops)


class MapsModel(TrialModel):
    """A head on the maps of windows of a fixed length, by which it learns and is evaluated.

    Validation hears windows side by side, the test windows that overlap by half (the MSSPT code); what is left at a
    clip's end is dropped, and its probabilities are the mean over its windows. `crop_seconds` says nothing here.
    """

    def __init__(self, cell: EvaluationTask, trial: int) -> None:
        """Build encoder and head; `UserError` where they do not fit, or embeddings are to be pooled."""
        super().__init__(cell, trial)
        assert cell.build_maps_head is not None, "the cell's head must read maps"
        if cell.settings.crops == "pool":
            raise UserError("training: a head that reads maps has no embeddings to pool: set crops to average")
        sources, decoder = self._channels()
        torch.manual_seed(int(trial_seeds.make_rng("head", trial).integers(2**31)))
        self.head = cell.build_maps_head(sources, decoder)
        torch.manual_seed(self.seed)  # for dropout
        self.to(cell.device)

    @property
    def hears_windows(self) -> bool:
        """Always."""
        return True

    def crop_length(self, rows: np.ndarray) -> int:  # noqa: ARG002 - as long for all
        """One window."""
        return self.head.samples

    def heard(self, audio: Tensor) -> Tensor:
        """Logits by the maps of each window; in evaluation mode always computed in float32."""
        reduced = self.training and self.precision is not None
        with torch.autocast(self.cell.device.type, dtype=self.precision, enabled=reduced):
            return self.head(_maps_of(self.encoder)(audio)).float()

    def logits(self, rows: np.ndarray, *, test: bool = False) -> Tensor:
        """Logits of each clip, whose probabilities are the mean over its windows."""
        found, windows, _ = self._heard_by_windows(rows, test=test)
        return average_predictions(self.cell.corpus.facts.task, found, windows)

    @torch.no_grad()
    def windows(self, rows: np.ndarray) -> Windows:
        """Probabilities in each window that the test of these clips hears."""
        facts = self.cell.corpus.facts
        found, windows, starts = self._heard_by_windows(rows, test=True)
        return Windows(
            scores=probabilities(facts.task, found).cpu().numpy().astype(np.float16),
            clips=np.repeat(np.arange(len(rows), dtype=np.int32), windows.counts),
            starts=(starts / facts.sample_rate).astype(np.float32),
            seconds=self.head.samples / facts.sample_rate,
        )

    def _heard_by_windows(self, rows: np.ndarray, *, test: bool) -> tuple[Tensor, Crops, np.ndarray]:
        """Logits (windows, classes) of the windows of clips, whose each is, and the first sample of each."""
        self.eval()
        corpus, length = self.cell.corpus, self.head.samples
        step = self.head.hop // 2 if test else self.head.hop
        windows = Crops.of(corpus.lengths[rows], length, step=step)
        owners = np.repeat(rows, windows.counts)
        starts = step * (np.arange(len(owners)) - np.repeat(windows.offsets[:-1], windows.counts))
        size = max(1, MAX_BATCH_SAMPLES[self.cell.device.type] // length)
        found = [
            self._read_and_heard(owners[first : first + size], starts[first : first + size])
            for first in range(0, len(owners), size)
        ]
        return torch.cat(found), windows, starts

    def _read_and_heard(self, rows: np.ndarray, starts: np.ndarray) -> Tensor:
        pairs = zip(rows, starts, strict=True)
        audio = [
            read_samples(self.cell.corpus, int(row), start=int(start), length=self.head.samples) for row, start in pairs
        ]
        return self.heard(torch.from_numpy(np.stack(audio)).to(self.cell.device))

    @torch.no_grad()
    def _channels(self) -> tuple[int, list[int]]:
        """Sources that the encoder separates, and channels of its decoder's maps."""
        maps = _maps_of(self.encoder.eval())(torch.zeros(1, PROBE_SAMPLES))
        return maps.masked.shape[1], [level.shape[1] for level in maps.decoder]


def _maps_of(encoder: nn.Module) -> Callable[[Tensor], Maps]:
    maps: Callable[[Tensor], Maps] | None = getattr(encoder, "maps", None)
    if maps is None:
        raise UserError(
            f"{type(encoder).__name__} has no maps for the head to read: "
            "choose encoder unet, unet_multiple or magnitude, or head linear or mlp"
        )
    return maps
