"""Encoder and head of one trial as one module, trained on random crops and tested on whole clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import check_sample_rate
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.evaluation.crops import Crops, average_predictions
from workflow_scripts.evaluation.embedding import MAX_BATCH_SAMPLES, embed_clips, read_samples
from workflow_scripts.evaluation.label_subsets import LabelSubset
from workflow_scripts.evaluation.losses import downstream_loss, probabilities, validation_scores
from workflow_scripts.evaluation.task import EvaluationTask, TrialWeights
from workflow_scripts.evaluation.trial_heads import TrialHead
from workflow_scripts.networks.maps import Maps
from workflow_scripts.pretraining.device import autocast_type
from workflow_scripts.statistics.predictions import Windows

#: samples of a short silent input that shows the numbers of channels; the U-Net needs at least 64 frames of 160 samples
#: (10 ms), and a window of 512 is 352 longer than its hop
PROBE_SAMPLES = 64 * 160 + 352
NO_GRADIENT = "no gradient of the loss reaches the encoder, so it cannot be fine-tuned: use scenario frozen"


def build_model(cell: EvaluationTask, trial: int) -> TrialModel:
    """Build the model of a trial with its initial weights, on the device of the cell, by the input of its head."""
    return (EmbeddingModel if cell.build_maps_head is None else MapsModel)(cell, trial)


def read_random_crops(
    corpus: Corpus, batch: LabelSubset, *, length: int, rng: np.random.Generator, segments: Segments | None = None
) -> np.ndarray:
    """Read a random crop of each example, float32 (examples, length); shorter clips are repeated.

    Where the examples are segments of clips, crops lie in them as far as they fit.
    """
    rows, lengths = batch.rows, corpus.lengths[batch.rows]
    if batch.segments is None or segments is None:
        firsts, spans = np.zeros(len(rows), np.int64), lengths
    else:
        firsts = np.minimum(batch.segments * segments.step, np.maximum(lengths - length, 0))
        spans = np.minimum(segments.length, lengths)
    starts = firsts + (rng.random(len(rows)) * np.maximum(spans - length + 1, 1)).astype(np.int64)
    return _read_crops(corpus, rows, starts, length)


def _read_crops(corpus: Corpus, rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    crops = zip(rows, starts, strict=True)
    return np.stack([read_samples(corpus, int(row), start=int(start), length=length) for row, start in crops])


@dataclass(frozen=True)
class Segments:
    """Segments by which a network evaluates a clip: their length, and the distance of their starts, in samples."""

    length: int
    step: int


class TrialModel(nn.Module, ABC):
    """Encoder and head of one trial."""

    def __init__(self, cell: EvaluationTask, trial: int) -> None:
        """Build the initial encoder of the trial."""
        super().__init__()
        assert cell.build_encoder is not None, "a scenario that trains the encoder needs one"
        self.cell, self.trial = cell, trial
        self.seed = int(trial_seeds.make_rng("encoder", trial).integers(2**31))
        self.encoder = cell.build_encoder(self.seed)
        check_sample_rate(self.encoder, cell.corpus)
        self.precision = autocast_type("auto", cell.device)
        # whether a gradient other than 0 has; a head on maps also learns on the bare spectrogram, which learns nothing
        self.reaches_encoder = cell.build_maps_head is not None

    def label_subset(self) -> LabelSubset:
        """Return the training examples whose labels the trial may use."""
        segments, lengths = self.segments, self.cell.corpus.lengths
        length, step = (segments.length, segments.step) if segments else (None, None)
        return self.cell.label_subset(self.trial, segments=Crops.from_lengths(lengths, length, step=step).counts)

    def train_epoch(self, optimizer: torch.optim.Optimizer, train: LabelSubset, *, epoch: int) -> None:
        """Train for one pass over `train` in the order of the trial, with one random crop per clip or segment."""
        self.train()
        length, segments = self.crop_length(train.rows), self.segments
        rng = trial_seeds.make_rng("crop", self.trial, epoch)
        for examples in train.draw(trial=self.trial, epoch=epoch).split(self.cell.settings.batch):
            # read random crops of the clips of this batch
            batch = self.fill_batch(examples)
            audio = read_random_crops(self.cell.corpus, batch, length=length, rng=rng, segments=segments)
            # forward, backward, update
            logits = self.predict_crops(torch.from_numpy(audio).to(self.cell.device))
            loss = downstream_loss(self.cell.corpus.facts.task, logits[None], self._labels(batch.rows))
            optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()
            self._look_for_gradients()
            optimizer.step()
        if not self.reaches_encoder:
            raise UserError(NO_GRADIENT)

    def _look_for_gradients(self) -> None:
        """Note whether a gradient other than 0 has reached the encoder; raise `UserError` if there is none at all."""
        if not self.reaches_encoder:
            gradients = [parameter.grad for parameter in self.encoder.parameters() if parameter.grad is not None]
            if not gradients:
                raise UserError(NO_GRADIENT)
            self.reaches_encoder = any(bool(gradient.any()) for gradient in gradients)

    @torch.no_grad()
    def validate(self, rows: np.ndarray) -> tuple[float, tuple[float, ...]]:
        """Compute the mean loss on whole clips, in evaluation mode, and the scores if the trial stops by them."""
        task, logits, labels = self.cell.corpus.facts.task, self.predict_clips(rows), self._labels(rows)
        has_scores = self.cell.settings.criterion == "scores"
        scores = validation_scores(task, logits, labels[0]) if has_scores else ()
        return downstream_loss(task, logits[None], labels).item(), scores

    @torch.no_grad()
    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Compute probabilities (rows, classes) of whole clips, float32, in evaluation mode."""
        return probabilities(self.cell.corpus.facts.task, self.predict_clips(rows, test=True)).cpu().numpy()

    def windows(self, rows: np.ndarray) -> Windows | None:  # noqa: ARG002 - for subclasses with windows
        """Compute probabilities window by window, in evaluation mode; None if the head does not use windows."""
        return None

    def weights(self) -> TrialWeights:
        """Return the weights of head and encoder."""
        return TrialWeights(head=_as_arrays(self.head_weights()), encoder=_as_arrays(self.encoder.state_dict()))

    @abstractmethod
    def head_weights(self) -> Mapping[str, Tensor]:
        """Return the weights of the head by name."""

    def fill_batch(self, batch: LabelSubset) -> LabelSubset:
        """Repeat a single example, if batch normalisation would otherwise see a single value per channel."""
        return batch.take(np.zeros(2, np.int64)) if len(batch.rows) == 1 and self.segments else batch

    @property
    @abstractmethod
    def segments(self) -> Segments | None:
        """Segments by which a clip is evaluated, of which a network may make a single frame; None: as a whole."""

    @abstractmethod
    def crop_length(self, rows: np.ndarray) -> int:
        """Return the number of samples of a training crop of `rows`."""

    @abstractmethod
    def predict_crops(self, audio: Tensor) -> Tensor:
        """Compute logits (batch, classes), float32, of crops (batch, samples), for training."""

    @abstractmethod
    def predict_clips(self, rows: np.ndarray, *, test: bool = False) -> Tensor:
        """Compute logits (rows, classes) of whole clips, in evaluation mode; `test` may use more windows."""

    def _labels(self, rows: np.ndarray) -> Tensor:
        """Return labels (1, rows, classes), with the trial axis of the loss."""
        return torch.from_numpy(self.cell.corpus.labels[rows]).to(self.cell.device)[None]


class EmbeddingModel(TrialModel):
    """A head on the embedding of the encoder: of whole clips in evaluation, or of the encoder's own crops."""

    def __init__(self, cell: EvaluationTask, trial: int) -> None:
        """Build encoder and head."""
        super().__init__(cell, trial)
        torch.manual_seed(self.seed)  # draws of the encoder in training, such as dropout, depend on the trial too
        self.classifier = TrialHead(cell.build_head(self.encoder.pooled_size), trial=trial)
        self.to(cell.device)

    def head_weights(self) -> Mapping[str, Tensor]:
        """Return the parameters of the head, without the axis of trials."""
        return {name: value[0] for name, value in self.classifier.values.items()}

    @property
    def segments(self) -> Segments | None:
        """The encoder's own crops, if it is evaluated by any."""
        length = self.encoder.crop_length
        return Segments(length, length) if length else None

    def crop_length(self, rows: np.ndarray) -> int:
        """Return `crop_seconds` in samples; without it the length of an evaluation crop, or of the longest clip."""
        seconds = self.cell.settings.crop_seconds
        if seconds is not None:
            return self.encoder.chunk_length(seconds)
        return self.encoder.crop_length or int(self.cell.corpus.lengths[rows].max())

    def predict_crops(self, audio: Tensor) -> Tensor:
        """Compute logits from the embedding of each crop."""
        with torch.autocast(self.cell.device.type, dtype=self.precision, enabled=self.precision is not None):
            embeddings = self.encoder.pool(self.encoder(audio))
        return self.classifier(embeddings.float())

    def predict_clips(self, rows: np.ndarray, *, test: bool = False) -> Tensor:  # noqa: ARG002 - no difference here
        """Compute logits from the embedding of each clip; if there are crops, averaged over them."""
        corpus = self.cell.corpus
        embeddings = embed_clips(self.encoder, corpus, rows, device=self.cell.device)
        crops = Crops.from_lengths(corpus.lengths[rows], self.encoder.crop_length)
        if self.cell.settings.crops == "pool" and not crops.single:
            pooled = torch.from_numpy(crops.pool(embeddings.cpu().numpy()))
            return self.classifier(pooled.to(self.cell.device))
        return average_predictions(corpus.facts.task, self.classifier(embeddings), crops)


class MapsModel(TrialModel):
    """A head on the maps of windows of a fixed length, in training and in evaluation.

    Validation uses adjacent windows, the test windows that overlap by half (the MSSPT code). The remainder at the end
    of a clip is dropped, and the probabilities of a clip are the mean over its windows. `crop_seconds` has no effect.
    """

    def __init__(self, cell: EvaluationTask, trial: int) -> None:
        """Build encoder and head; `UserError` if they do not fit together, or if embeddings are to be pooled."""
        super().__init__(cell, trial)
        assert cell.build_maps_head is not None, "the cell's head must read maps"
        if cell.settings.crops == "pool":
            raise UserError("training: a head that reads maps has no embeddings to pool: set crops to average")
        sources, decoder = count_channels(self.encoder)
        torch.manual_seed(int(trial_seeds.make_rng("head", trial).integers(2**31)))
        self.head = cell.build_maps_head(sources, decoder)
        torch.manual_seed(self.seed)  # for dropout
        self.to(cell.device)

    def head_weights(self) -> Mapping[str, Tensor]:
        """Return the state dict of the head."""
        return self.head.state_dict()

    @property
    def segments(self) -> Segments:
        """The windows of the head."""
        return Segments(self.head.samples, self.head.hop)

    def crop_length(self, rows: np.ndarray) -> int:  # noqa: ARG002 - the same for all clips
        """Return the length of a window."""
        return self.head.samples

    def predict_crops(self, audio: Tensor) -> Tensor:
        """Compute logits from the maps of each window; in evaluation mode always in float32."""
        reduced = self.training and self.precision is not None
        with torch.autocast(self.cell.device.type, dtype=self.precision, enabled=reduced):
            return self.head(_maps_of(self.encoder)(audio)).float()

    def predict_clips(self, rows: np.ndarray, *, test: bool = False) -> Tensor:
        """Compute the logits of each clip, whose probabilities are the mean over its windows."""
        logits, windows, _ = self._predict_windows(rows, test=test)
        return average_predictions(self.cell.corpus.facts.task, logits, windows)

    @torch.no_grad()
    def windows(self, rows: np.ndarray) -> Windows:
        """Compute the probabilities in each test window of these clips."""
        facts = self.cell.corpus.facts
        logits, windows, starts = self._predict_windows(rows, test=True)
        return Windows(
            scores=probabilities(facts.task, logits).cpu().numpy().astype(np.float16),
            clips=np.repeat(np.arange(len(rows), dtype=np.int32), windows.counts),
            starts=(starts / facts.sample_rate).astype(np.float32),
            seconds=self.head.samples / facts.sample_rate,
        )

    def _predict_windows(self, rows: np.ndarray, *, test: bool) -> tuple[Tensor, Crops, np.ndarray]:
        """Return logits (windows, classes), the windows of each clip, and the first sample of each window."""
        self.eval()
        corpus, length = self.cell.corpus, self.head.samples
        step = self.head.hop // 2 if test else self.head.hop
        windows = Crops.from_lengths(corpus.lengths[rows], length, step=step)
        window_rows = np.repeat(rows, windows.counts)
        starts = step * (np.arange(len(window_rows)) - np.repeat(windows.offsets[:-1], windows.counts))
        size = max(1, MAX_BATCH_SAMPLES[self.cell.device.type] // length)
        logits = [
            self._predict_batch(window_rows[first : first + size], starts[first : first + size])
            for first in range(0, len(window_rows), size)
        ]
        return torch.cat(logits), windows, starts

    def _predict_batch(self, rows: np.ndarray, starts: np.ndarray) -> Tensor:
        audio = _read_crops(self.cell.corpus, rows, starts, self.head.samples)
        return self.predict_crops(torch.from_numpy(audio).to(self.cell.device))


@torch.no_grad()
def count_channels(encoder: nn.Module) -> tuple[int, list[int]]:
    """Return the number of sources that an encoder separates, and the channels of each map of its decoder.

    Raises `UserError` if it has no maps.
    """
    maps = _maps_of(encoder.eval())(torch.zeros(1, PROBE_SAMPLES))
    return maps.masked.shape[1], [level.shape[1] for level in maps.decoder]


def _as_arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: value.detach().cpu().numpy() for name, value in state.items()}


def _maps_of(encoder: nn.Module) -> Callable[[Tensor], Maps]:
    maps: Callable[[Tensor], Maps] | None = getattr(encoder, "maps", None)
    if maps is None:
        raise UserError(
            f"{type(encoder).__name__} has no maps for the head to read: "
            "choose encoder unet, unet_multiple or magnitude, or head linear or mlp"
        )
    return maps
