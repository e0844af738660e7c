"""Which part of which clip is in which batch, and loading it.

Everything random is drawn from a generator seeded by counters (seed, purpose, number), so any step's batch is known
without replaying the steps before it: resuming needs no state of a generator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.audio.corpus import FULL_SCALE, Corpus
from workflow_scripts.errors import UserError
from workflow_scripts.features.frames import HOP, frame_count
from workflow_scripts.features.stored import StoredFeature
from workflow_scripts.training.shapes import Augmentation, Batch

AHEAD = 3  # batches loaded ahead: the disk may stall for two steps

Given = TypeVar("Given")
Result = TypeVar("Result")


class Purpose(IntEnum):
    """What random numbers are for: each purpose has its own stream."""

    ORDER = 0
    STARTS = 1
    CALIBRATION = 2
    VALIDATION = 3
    AUGMENTATION = 4
    STEP = 5
    WORKER = 6


def seed_for(seed: int, purpose: Purpose, *numbers: int) -> int:
    """Return a seed for torch, 63 bits, from the run's seed, the purpose and counters."""
    state = np.random.SeedSequence([seed, purpose, *numbers]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Equally long pieces of clips: row in the corpus and first sample of each, int64 (batch,)."""

    rows: np.ndarray
    starts: np.ndarray


class Cutter:
    """Draws the pieces that training and validation hear.

    Clips as long as a piece are used. Only where a split has none, all its clips are, followed by zeros. A piece starts
    anywhere in the clip with equal chance, on the grid of the feature frames, so that stored frames belong to its
    audio. In training each clip comes up once before any comes up again.
    """

    def __init__(self, corpus: Corpus, *, batch: int, length: int, seed: int) -> None:
        """Cut pieces of `length` samples for batches of `batch`; `UserError` if the train split is empty."""
        self.corpus, self.batch, self.length, self.seed = corpus, batch, length, seed
        self.train = _long_enough(corpus, corpus.rows("train"), length)
        if not len(self.train):
            raise UserError(f"{corpus.folder} has no clips in its train split: choose another corpus for pre-training")
        self._passes: dict[int, np.ndarray] = {}

    @property
    def too_short(self) -> int:
        """Number of training clips shorter than a piece."""
        return int((self.corpus.lengths[self.corpus.rows("train")] < self.length).sum())

    @property
    def steps_per_epoch(self) -> int:
        """Samples in the train split // length // batch, at least 1, as the PASE code counts an epoch."""
        return max(1, int(self.corpus.lengths[self.corpus.rows("train")].sum()) // self.length // self.batch)

    def training(self, step: int) -> Cuts:
        """Return the pieces of training step `step` (from 0)."""
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        rows = np.array([self._pass(int(place) // len(self.train))[place % len(self.train)] for place in places])
        return self._with_starts(rows, np.random.default_rng([self.seed, Purpose.STARTS, step]))

    def calibration(self, batches: int) -> list[Cuts]:
        """Return `batches` batches of random pieces of the train split."""
        generator = np.random.default_rng([self.seed, Purpose.CALIBRATION])
        return [self._with_starts(generator.choice(self.train, self.batch), generator) for _ in range(batches)]

    def validation(self, batches: int) -> list[Cuts]:
        """Return at most `batches` batches of pieces of the valid split: the same for every run on the corpus.

        They are spread evenly over the clips, one piece a clip while there are clips. `UserError` if the split is
        empty.
        """
        if not batches:
            return []
        clips = _long_enough(self.corpus, self.corpus.rows("valid"), self.length)
        if not len(clips):
            raise UserError(
                f"{self.corpus.folder} has no clips in its valid split: set the recipe's validation_batches to 0"
            )
        generator = np.random.default_rng([0, Purpose.VALIDATION])
        wanted = np.arange(batches * self.batch)
        rows = clips[wanted * len(clips) // len(wanted)] if len(clips) >= len(wanted) else clips[wanted % len(clips)]
        return [self._with_starts(part, generator) for part in np.split(rows, batches)]

    def _pass(self, number: int) -> np.ndarray:
        """Return the order of the clips in pass `number` over the train split."""
        if number not in self._passes:
            order = np.random.default_rng([self.seed, Purpose.ORDER, number]).permutation(self.train)
            self._passes = {number: order} if len(self._passes) > 1 else {**self._passes, number: order}
        return self._passes[number]

    def _with_starts(self, rows: np.ndarray, generator: np.random.Generator) -> Cuts:
        room = np.maximum(0, self.corpus.lengths[rows] - self.length) // HOP
        return Cuts(rows=rows, starts=generator.integers(0, room + 1) * HOP)


def _long_enough(corpus: Corpus, rows: np.ndarray, length: int) -> np.ndarray:
    long = rows[corpus.lengths[rows] >= length]
    return long if len(long) else rows


@dataclass(frozen=True, kw_only=True)
class BatchLoader:
    """Reads cuts from disk and makes batches on the training device."""

    corpus: Corpus
    features: Mapping[str, StoredFeature]
    augmentation: Augmentation
    length: int
    device: torch.device

    def batches(self, plan: Iterable[tuple[Cuts, int]]) -> Iterator[Batch]:
        """Yield the batch of each (cuts, seed of its augmentation), loaded ahead by a thread."""
        for (samples, features), seed in ahead(self._read, plan):
            clean = self._moved(samples).float() / FULL_SCALE
            generator = torch.Generator(self.device).manual_seed(seed)
            yield Batch(
                clean=clean,
                audio=self.augmentation(clean, generator=generator),
                precomputed={name: self._moved(values) for name, values in features.items()},
            )

    def _read(self, planned: tuple[Cuts, int]) -> tuple[tuple[Tensor, dict[str, Tensor]], int]:
        cuts, seed = planned
        samples = np.zeros((len(cuts.rows), self.length), np.int16)  # half the bytes of float32 to move to the device
        for into, row, start in zip(samples, cuts.rows, cuts.starts, strict=True):
            first = self.corpus.offsets[row] + start
            piece = self.corpus.samples[first : first + min(self.length, self.corpus.lengths[row] - start)]
            into[: len(piece)] = piece
        frames = frame_count(self.length)
        features = {
            name: self._pinned(stored.cuts(cuts.rows, cuts.starts // HOP, frames))
            for name, stored in self.features.items()
        }
        return (self._pinned(samples), features), seed

    def _pinned(self, values: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(values)
        return tensor.pin_memory() if self.device.type == "cuda" else tensor

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)


def ahead(function: Callable[[Given], Result], items: Iterable[Given]) -> Iterator[Result]:
    """Yield `function(item)` in order; a thread works up to `AHEAD` items in advance."""
    remaining = iter(items)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(remaining, AHEAD))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result
