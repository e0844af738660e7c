"""Clips that are evaluated by consecutive crops: which crops are whose, and one prediction per clip.

As CLMR evaluates (Spijkervet 2021; the CLMR code): a clip is cut into crops without overlap, what is left at its end is
dropped, a head learns from single crops, and a clip's probabilities are the mean over its crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.levels.dataset_index import Task


@dataclass(frozen=True)
class Crops:
    """Rows of crops, clip after clip: those of clip i are `offsets[i]` to `offsets[i + 1]`; int64 (clips + 1,)."""

    offsets: np.ndarray

    @classmethod
    def of(cls, lengths: np.ndarray, crop_length: int | None, *, step: int | None = None) -> Crops:
        """Crops of clips of `lengths` samples; with no `crop_length` each is one. A shorter clip is one, too.

        They begin `step` samples after each other; by default one begins where the other ends.
        """
        if crop_length is None:
            counts = np.ones(len(lengths), np.int64)
        else:
            counts = np.maximum((lengths - crop_length) // (step or crop_length) + 1, 1)
        return cls(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    @property
    def counts(self) -> np.ndarray:
        """Number of crops of each clip, int64 (clips,)."""
        return np.diff(self.offsets)

    @property
    def single(self) -> bool:
        """Whether each clip is one crop."""
        return len(self.offsets) - 1 == self.offsets[-1]

    def of_clips(self, clips: np.ndarray) -> Crops:
        """Crops of these clips as they come, one clip after the other, from `rows`."""
        return Crops(np.concatenate([[0], np.cumsum(self.counts[clips])]).astype(np.int64))

    def rows(self, clips: np.ndarray) -> np.ndarray:
        """Rows of all crops of these clips, one clip after the other."""
        counts = self.counts[clips]
        firsts = np.repeat(self.offsets[clips] - np.cumsum(counts) + counts, counts)
        return firsts + np.arange(counts.sum())

    def drawn(self, clips: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Row of a random crop of each of these clips."""
        return self.offsets[clips] + (generator.random(len(clips)) * self.counts[clips]).astype(np.int64)

    def means(self, embeddings: np.ndarray) -> np.ndarray:
        """Mean over the crops of each clip, float32 (clips, size), from embeddings (crops, size)."""
        sums = np.add.reduceat(embeddings, self.offsets[:-1], axis=0, dtype=np.float64)
        return (sums / self.counts[:, None]).astype(np.float32)


def average_predictions(task: Task, logits: Tensor, crops: Crops) -> Tensor:
    """Logits of each clip, (clips, classes), whose probabilities are the mean of those of its crops.

    `logits` are those of the crops, (crops, classes).
    """
    if crops.single:
        return logits
    if task == "multiclass":
        return _log_means(functional.log_softmax(logits, dim=-1), crops)
    # a sigmoid's logit is the difference of the logarithms of yes and no
    return _log_means(functional.logsigmoid(logits), crops) - _log_means(functional.logsigmoid(-logits), crops)


def _log_means(values: Tensor, crops: Crops) -> Tensor:
    """Logarithm of the mean of exp(values) over each clip's crops, (clips, classes), from (crops, classes)."""
    counts = torch.from_numpy(crops.counts).to(values.device)
    owner = torch.repeat_interleave(torch.arange(len(counts), device=values.device), counts)
    index = owner[:, None].expand_as(values)
    largest = values.new_full((len(counts), values.shape[1]), -torch.inf).scatter_reduce(0, index, values, "amax")
    sums = torch.zeros_like(largest).index_add(0, owner, (values - largest[owner]).exp())
    return largest + sums.log() - counts[:, None].log()
