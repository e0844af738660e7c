"""Random crops of a corpus for pre-training: which part of which recording is in which batch.

Every draw comes from a generator seeded by counters (seed, purpose, number), so the batch of any step is known without
replaying earlier steps, and resuming needs no generator state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.features.frames import HOP
from workflow_scripts.levels.dataset_index import Split


class Purpose(IntEnum):
    """Purposes of random numbers; each has a stream of its own."""

    ORDER = 0
    STARTS = 1
    CALIBRATION = 2
    VALIDATION = 3
    AUGMENTATION = 4
    STEP = 5
    WORKER = 6


def seed_for(seed: int, purpose: Purpose, *numbers: int) -> int:
    """Derive a 63-bit seed for torch from the seed of the run, the purpose and counters."""
    state = np.random.SeedSequence([seed, purpose, *numbers]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


class Recordings(Protocol):
    """Recordings to crop: a `Corpus`, or its `ConcatenatedSongs`."""

    folder: Path

    @property
    def lengths(self) -> np.ndarray:
        """Samples in each recording, int64, by row."""

    def rows(self, split: Split) -> np.ndarray:
        """Row numbers of the recordings of a split, int64, ascending."""

    def fill(self, piece: np.ndarray, *, row: int, start: int) -> None:
        """Copy samples from `start` into `piece`, int16; values beyond the end of the recording are left unchanged."""


@dataclass(frozen=True, kw_only=True)
class CropIndex:
    """Positions of equally long crops: row in the corpus and first sample of each, int64 (views * batch,).

    With several views, the first view of every example comes first, then the second of every example in the same order.
    For mixtures, the views of an example are the crops it is mixed from, each of another recording.
    """

    rows: np.ndarray
    starts: np.ndarray
    views: int = 1

    def shard(self, process: int, *, processes: int, parts: int) -> CropIndex:
        """Return the share of one process in each of the `parts` (micro-batches) of the batch, part by part.

        The shards of all processes together hold, part by part, the examples that a single process computes.
        """
        places = np.arange(len(self.rows)).reshape(self.views, parts, processes, -1)[:, :, process].flatten()
        return CropIndex(rows=self.rows[places], starts=self.starts[places], views=self.views)


class CropSampler:
    """Sampler of the crops used in training, calibration and validation.

    - Recordings at least as long as a crop are used. If the valid split has none, all its recordings are, zero-padded.
    - A crop starts with equal probability anywhere in its recording, on the grid of the feature frames, so that stored
      frames line up with the audio.
    - In training, every recording occurs once before any occurs again.
    - With several views, their crops are drawn independently, so they may overlap. A recording never occurs twice in a
      batch, because it would be its own negative: an incomplete batch at the end of a pass is dropped, as in the CLMR
      code.
    - For mixtures (`mixed`), the views are the crops an example is mixed from, each of the next recording in the order.
      Validation uses single recordings as they are.
    """

    def __init__(
        self,
        corpus: Recordings,
        *,
        batch: int,
        length: int,
        seed: int,
        views: int = 1,
        mixed: bool = False,
        training_splits: Sequence[Split] = ("train",),
    ) -> None:
        """Sample crops of `length` samples for batches of `batch` examples, in training from the `training_splits`.

        Raises `UserError` if the train split is empty or has only recordings shorter than a crop, or too few for a
        batch of distinct ones.
        """
        self.corpus, self.batch, self.length, self.seed, self.views = corpus, batch, length, seed, views
        self.mixed = mixed
        self._training_rows = rows = np.sort(np.concatenate([corpus.rows(split) for split in training_splits]))
        self.train = rows[corpus.lengths[rows] >= length]
        if not len(rows):
            raise UserError(f"{corpus.folder} has no clips in its train split: choose another corpus for pre-training")
        if not len(self.train):
            raise UserError(
                f"{corpus.folder}: every training clip is shorter than a chunk: lower the recipe's chunk_seconds to "
                f"{corpus.lengths[rows].max() / length:.1%} of its value or less"
            )
        if self._contrasts_examples and len(self.train) < batch:
            raise UserError(
                f"{corpus.folder} has {len(self.train)} training clips as long as a chunk, too few for batches of "
                f"{batch} different clips: lower the recipe's batch to {len(self.train)}, or choose another corpus"
            )
        self._orders: dict[int, np.ndarray] = {}  # by number of the pass; the last two

    @property
    def short_clips(self) -> int:
        """Number of training clips shorter than a crop."""
        return self._count_short(self._training_rows)

    def describe_short(self, *, validation: bool) -> Iterator[str]:
        """Yield a line for each split with recordings shorter than a crop: how many, and what becomes of them."""
        rows_of = {"training": self._training_rows} | ({"validation": self.corpus.rows("valid")} if validation else {})
        for name, rows in rows_of.items():
            short, total = self._count_short(rows), len(rows)
            outcome = "left out" if short < total else "padded with silence"
            if short:
                yield f"{short:,} of {total:,} {name} clips are shorter than a chunk and are {outcome}"

    def _count_short(self, rows: np.ndarray) -> int:
        return int((self.corpus.lengths[rows] < self.length).sum())

    @property
    def steps_per_epoch(self) -> int:
        """Samples to train on // length // batch, at least 1, as the PASE code counts an epoch."""
        return max(1, int(self.corpus.lengths[self._training_rows].sum()) // self.length // self.batch)

    @property
    def steps_per_pass(self) -> int:
        """Steps in which every usable recording occurs once, except for a last incomplete batch; at least 1."""
        return max(1, len(self.train) // self.batch)

    def training_crops(self, step: int) -> CropIndex:
        """Return the crops of training step `step` (from 0)."""
        clips = self._clips_per_batch
        if self._contrasts_examples:
            number, place = divmod(step, self.steps_per_pass)
            rows = self._order_of_pass(number)[place * clips : (place + 1) * clips]
        else:
            places = np.arange(step * clips, (step + 1) * clips)
            rows = np.array(
                [self._order_of_pass(int(place) // len(self.train))[place % len(self.train)] for place in places]
            )
        return self._draw_starts(rows, np.random.default_rng([self.seed, Purpose.STARTS, step]))

    def calibration_crops(self, batches: int) -> list[CropIndex]:
        """Return `batches` batches of random crops of the train split."""
        rng = np.random.default_rng([self.seed, Purpose.CALIBRATION])
        return [self._draw_starts(rng.choice(self.train, self._clips_per_batch), rng) for _ in range(batches)]

    def validation_crops(self, batches: int) -> list[CropIndex]:
        """Return at most `batches` batches of crops of the valid split, the same for every run on the corpus.

        The crops are spread evenly over the clips: one per clip until every clip has one. Raises `UserError` if the
        split is empty.
        """
        if not batches:
            return []
        rows = self.corpus.rows("valid")
        long_rows = rows[self.corpus.lengths[rows] >= self.length]
        clips = long_rows if len(long_rows) else rows
        if not len(clips):
            raise UserError(
                f"{self.corpus.folder} has no clips in its valid split: set the recipe's validation_batches to 0"
            )
        rng = np.random.default_rng([0, Purpose.VALIDATION])
        numbers = np.arange(batches * self.batch)
        enough = len(clips) >= len(numbers)
        rows = clips[numbers * len(clips) // len(numbers)] if enough else clips[numbers % len(clips)]
        views = 1 if self.mixed else self.views
        return [self._draw_starts(batch, rng, views=views) for batch in np.split(rows, batches)]

    @property
    def _contrasts_examples(self) -> bool:
        """Whether the examples of a batch are each other's negatives, so that no clip may occur twice in it."""
        return self.views > 1 and not self.mixed

    @property
    def _clips_per_batch(self) -> int:
        return self.batch * self.views if self.mixed else self.batch

    def _order_of_pass(self, number: int) -> np.ndarray:
        """Return the order of the recordings in pass `number` over the train split."""
        if number not in self._orders:
            order = np.random.default_rng([self.seed, Purpose.ORDER, number]).permutation(self.train)
            self._orders = {number: order} if len(self._orders) > 1 else {**self._orders, number: order}
        return self._orders[number]

    def _draw_starts(self, rows: np.ndarray, rng: np.random.Generator, *, views: int | None = None) -> CropIndex:
        views = self.views if views is None else views
        rows = rows if self.mixed else np.tile(rows, views)
        last_hops = np.maximum(0, self.corpus.lengths[rows] - self.length) // HOP
        return CropIndex(rows=rows, starts=rng.integers(0, last_hops + 1) * HOP, views=views)
