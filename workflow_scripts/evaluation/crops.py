"""Evaluation of clips by consecutive crops: the crops of each clip, and one prediction per clip.

As in CLMR (Spijkervet 2021; the CLMR code), a clip is cut into crops without overlap and the remainder at its end is
dropped. A head learns from single crops, and the probabilities of a clip are the mean over its crops.
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
    """Rows of the crops of each clip.

    The crops of clip i have the rows from `offsets[i]` to below `offsets[i + 1]`; `offsets` is int64 (clips + 1,).
    """

    offsets: np.ndarray

    @classmethod
    def from_lengths(cls, lengths: np.ndarray, crop_length: int | None, *, step: int | None = None) -> Crops:
        """Cut clips of `lengths` samples into crops; without `crop_length`, or if shorter, a clip is a single crop.

        The crops of a clip start `step` samples apart; by default `crop_length`, without overlap or gap.
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
        """Whether every clip is a single crop."""
        return len(self.offsets) - 1 == self.offsets[-1]

    def select(self, clips: np.ndarray) -> Crops:
        """Return the crops of these clips, clip by clip, in the order of `rows`."""
        return Crops(np.concatenate([[0], np.cumsum(self.counts[clips])]).astype(np.int64))

    def rows(self, clips: np.ndarray) -> np.ndarray:
        """Return the rows of all crops of these clips, clip by clip."""
        counts = self.counts[clips]
        firsts = np.repeat(self.offsets[clips] - np.cumsum(counts) + counts, counts)
        return firsts + np.arange(counts.sum())

    def sample(self, clips: np.ndarray, rng: np.random.Generator, *, numbers: np.ndarray | None = None) -> np.ndarray:
        """Return the row of a crop of each of these clips: those with the `numbers`, or random ones."""
        if numbers is not None:
            return self.offsets[clips] + numbers
        return self.offsets[clips] + (rng.random(len(clips)) * self.counts[clips]).astype(np.int64)

    def pool(self, embeddings: np.ndarray) -> np.ndarray:
        """Average embeddings (crops, size) over the crops of each clip, float32 (clips, size)."""
        sums = np.add.reduceat(embeddings, self.offsets[:-1], axis=0, dtype=np.float64)
        return (sums / self.counts[:, None]).astype(np.float32)


def average_predictions(task: Task, logits: Tensor, crops: Crops) -> Tensor:
    """Return the logits of each clip, (clips, classes), from those of the crops, (crops, classes).

    The probabilities of a clip are the mean of those of its crops.
    """
    if crops.single:
        return logits
    if task == "multiclass":
        return _log_means(functional.log_softmax(logits, dim=-1), crops)
    # logit(p) = log p - log(1 - p)
    return _log_means(functional.logsigmoid(logits), crops) - _log_means(functional.logsigmoid(-logits), crops)


def _log_means(values: Tensor, crops: Crops) -> Tensor:
    """Compute log(mean(exp(values))) over the crops of each clip, (clips, classes), from (crops, classes)."""
    counts = torch.from_numpy(crops.counts).to(values.device)
    clip = torch.repeat_interleave(torch.arange(len(counts), device=values.device), counts)
    index = clip[:, None].expand_as(values)
    # subtract the maximum before the exponential, against overflow
    maximum = values.new_full((len(counts), values.shape[1]), -torch.inf).scatter_reduce(0, index, values, "amax")
    sums = torch.zeros_like(maximum).index_add(0, clip, (values - maximum[clip]).exp())
    return maximum + sums.log() - counts[:, None].log()
