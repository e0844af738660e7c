"""Which part of which clip is in which batch, and loading it.

Everything random is drawn from a generator seeded by counters (seed, purpose, number), so any step's batch is known
without replaying the steps before it: resuming needs no state of a generator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.audio.corpus import FULL_SCALE
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.frames import HOP, frame_count
from workflow_scripts.features.stored import StoredFeature
from workflow_scripts.levels.dataset_index import Split
from workflow_scripts.networks.interfaces import Augmentation, Batch
from workflow_scripts.pretraining.stem_mixtures import Mixer
from workflow_scripts.pretraining.throughput import Waiting

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


class Recordings(Protocol):
    """What pieces are cut from: a `Corpus`, or its `Songs`."""

    folder: Path

    @property
    def lengths(self) -> np.ndarray:
        """Samples in each recording, int64, by row."""

    def rows(self, split: Split) -> np.ndarray:
        """Row numbers of the recordings of a split, int64, ascending."""

    def fill(self, piece: np.ndarray, *, row: int, start: int) -> None:
        """Copy samples from `start` into `piece`, int16; what lies beyond the recording's end stays as it is."""


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Equally long pieces of clips: row in the corpus and first sample of each, int64 (views * batch,).

    With more views than one, the first view of every clip, then the second of every clip in the same order. Where
    examples are mixed, their views are the pieces they are mixed of, each of another clip.
    """

    rows: np.ndarray
    starts: np.ndarray
    views: int = 1

    def share(self, process: int, *, processes: int, parts: int) -> Cuts:
        """Return the pieces of one of several processes: its share of each of the batch's `parts`, part by part.

        Taken together the processes then see, part by part, what one process sees that computes the batch in parts.
        """
        places = np.arange(len(self.rows)).reshape(self.views, parts, processes, -1)[:, :, process].flatten()
        return Cuts(rows=self.rows[places], starts=self.starts[places], views=self.views)


class Cutter:
    """Draws the pieces that training and validation hear.

    Clips as long as a piece are used. Only where a split has none, all its clips are, followed by zeros. A piece starts
    anywhere in the clip with equal chance, on the grid of the feature frames, so that stored frames belong to its
    audio. In training each clip comes up once before any comes up again. Where several views of a clip are asked for,
    their pieces are drawn independently of each other, so they may overlap or not, and no clip comes twice in a batch,
    which would tell it from itself: an incomplete batch at the end of a pass is left out, as in the CLMR code. Where
    examples are mixed of several clips, these are the views: each is the next clip in the order, and validation hears
    one clip, as it was recorded.
    """

    def __init__(
        self, corpus: Recordings, *, batch: int, length: int, seed: int, views: int = 1, mixed: bool = False
    ) -> None:
        """Cut pieces of `length` samples for batches of `batch` examples.

        Raises `UserError` if the train split is empty, or has fewer clips than a batch of views tells apart.
        """
        self.corpus, self.batch, self.length, self.seed, self.views = corpus, batch, length, seed, views
        self.mixed = mixed
        self.train = _long_enough(corpus, corpus.rows("train"), length)
        if not len(self.train):
            raise UserError(f"{corpus.folder} has no clips in its train split: choose another corpus for pre-training")
        if self._compares and len(self.train) < batch:
            raise UserError(
                f"{corpus.folder} has {len(self.train)} clips in its train split, and batches of {batch} would tell a "
                "clip from itself: set the recipe's batch to as many at most, or choose another corpus"
            )
        self._passes: dict[int, np.ndarray] = {}

    @property
    def too_short(self) -> int:
        """Number of training clips shorter than a piece."""
        return int((self.corpus.lengths[self.corpus.rows("train")] < self.length).sum())

    @property
    def steps_per_epoch(self) -> int:
        """Samples in the train split // length // batch, at least 1, as the PASE code counts an epoch."""
        return max(1, int(self.corpus.lengths[self.corpus.rows("train")].sum()) // self.length // self.batch)

    @property
    def steps_per_pass(self) -> int:
        """Steps in which each clip that is used comes up once, but for a last incomplete batch; at least 1."""
        return max(1, len(self.train) // self.batch)

    def training(self, step: int) -> Cuts:
        """Return the pieces of training step `step` (from 0)."""
        clips = self._clips_per_batch
        if self._compares:
            number, place = divmod(step, self.steps_per_pass)
            rows = self._pass(number)[place * clips : (place + 1) * clips]
        else:
            places = np.arange(step * clips, (step + 1) * clips)
            rows = np.array([self._pass(int(place) // len(self.train))[place % len(self.train)] for place in places])
        return self._with_starts(rows, np.random.default_rng([self.seed, Purpose.STARTS, step]))

    def calibration(self, batches: int) -> list[Cuts]:
        """Return `batches` batches of random pieces of the train split."""
        generator = np.random.default_rng([self.seed, Purpose.CALIBRATION])
        return [
            self._with_starts(generator.choice(self.train, self._clips_per_batch), generator) for _ in range(batches)
        ]

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
        views = 1 if self.mixed else self.views
        return [self._with_starts(part, generator, views=views) for part in np.split(rows, batches)]

    @property
    def _compares(self) -> bool:
        """Whether the examples of a batch are told apart, so that no clip may be in it twice."""
        return self.views > 1 and not self.mixed

    @property
    def _clips_per_batch(self) -> int:
        return self.batch * self.views if self.mixed else self.batch

    def _pass(self, number: int) -> np.ndarray:
        """Return the order of the clips in pass `number` over the train split."""
        if number not in self._passes:
            order = np.random.default_rng([self.seed, Purpose.ORDER, number]).permutation(self.train)
            self._passes = {number: order} if len(self._passes) > 1 else {**self._passes, number: order}
        return self._passes[number]

    def _with_starts(self, rows: np.ndarray, generator: np.random.Generator, *, views: int | None = None) -> Cuts:
        views = self.views if views is None else views
        rows = rows if self.mixed else np.tile(rows, views)
        room = np.maximum(0, self.corpus.lengths[rows] - self.length) // HOP
        return Cuts(rows=rows, starts=generator.integers(0, room + 1) * HOP, views=views)


def _long_enough(corpus: Recordings, rows: np.ndarray, length: int) -> np.ndarray:
    long = rows[corpus.lengths[rows] >= length]
    return long if len(long) else rows


@dataclass(frozen=True, kw_only=True)
class BatchLoader:
    """Reads cuts from disk and makes batches on the training device.

    A thread reads and, for a GPU, pins the memory and starts the copy on a stream of its own, so that reading and
    copying go on while the device computes. A `mixer` makes examples of the pieces of several clips, and their sources.
    """

    corpus: Recordings
    features: Mapping[str, StoredFeature]
    augmentation: Augmentation
    length: int
    device: torch.device
    mixer: Mixer | None = None

    def batches(self, plan: Iterable[tuple[Cuts, int]], *, waiting: Waiting | None = None) -> Iterator[Batch]:
        """Yield the batch of each (cuts, seed of its augmentation), loaded ahead by a thread.

        `waiting` is told when the data of a batch have arrived.
        """
        stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        for loaded in ahead(partial(self._load, stream), plan):
            self._await(loaded)
            if waiting is not None:
                waiting.arrived()
            clean = loaded.samples.float() / FULL_SCALE
            audio = self._augmented(clean, loaded)
            sources = None if loaded.sources is None else loaded.sources / FULL_SCALE
            yield Batch(clean=clean, audio=audio, precomputed=loaded.features, sources=sources, views=loaded.views)

    def _load(self, stream: torch.cuda.Stream | None, planned: tuple[Cuts, int]) -> _Loaded:
        cuts, seed = planned
        read = self._read(cuts, seed)
        if stream is None:
            return read
        with torch.cuda.stream(stream):  # of this thread, whose current GPU is also set by it
            samples = self._moved(read.samples)
            features = {name: self._moved(values) for name, values in read.features.items()}
            sources = None if read.sources is None else self._moved(read.sources)
            return replace(read, samples=samples, features=features, sources=sources, copied=stream.record_event())

    def _read(self, cuts: Cuts, seed: int) -> _Loaded:
        if self.mixer is not None:
            mixtures, sources = self.mixer.read(cuts.rows, starts=cuts.starts, length=self.length, pieces=cuts.views)
            return _Loaded(
                samples=torch.from_numpy(mixtures), sources=torch.from_numpy(sources), features={}, seed=seed, views=1
            )
        samples = np.zeros((len(cuts.rows), self.length), np.int16)  # half the bytes of float32 to move to the device
        for into, row, start in zip(samples, cuts.rows, cuts.starts, strict=True):
            self.corpus.fill(into, row=row, start=start)
        frames = frame_count(self.length)
        features = {
            name: torch.from_numpy(stored.cut_rows(cuts.rows, cuts.starts // HOP, frames))
            for name, stored in self.features.items()
        }
        return _Loaded(samples=torch.from_numpy(samples), features=features, seed=seed, views=cuts.views)

    def _augmented(self, clean: Tensor, loaded: _Loaded) -> Tensor:
        generator = torch.Generator().manual_seed(loaded.seed)
        if not self.augmentation.one_sided:
            return self.augmentation(clean, generator=generator)
        changed, *unchanged = clean.chunk(loaded.views)
        return torch.cat([self.augmentation(changed, generator=generator), *unchanged])

    def _moved(self, tensor: Tensor) -> Tensor:
        # the host's allocator keeps the pinned memory until the stream has passed the copy
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _await(self, loaded: _Loaded) -> None:
        """Let the computing stream wait for the copies, and their memory for the computing stream."""
        if loaded.copied is None:
            return
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(loaded.copied)
        for tensor in (loaded.samples, loaded.sources, *loaded.features.values()):
            if tensor is not None:
                tensor.record_stream(stream)


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """A batch as read: samples (batch, samples), stored features, and the event after the copy to a GPU.

    Samples are int16; of mixtures float32 on the same scale, as are their sources (batch, sources, samples).
    """

    samples: Tensor
    features: dict[str, Tensor]
    seed: int
    views: int
    sources: Tensor | None = None
    copied: torch.cuda.Event | None = None


def parts_of(batch: Batch, parts: int) -> list[Batch]:
    """Split a batch into `parts` equal ones, in order; each has all views of its clips."""
    if parts == 1:
        return [batch]

    def split(values: Tensor) -> list[Tensor]:
        by_view = values.unflatten(0, (batch.views, parts, -1))
        return [by_view[:, part].flatten(0, 1) for part in range(parts)]

    clean = split(batch.clean)
    audio = clean if batch.audio is batch.clean else split(batch.audio)
    features = {name: split(values) for name, values in batch.precomputed.items()}
    sources = None if batch.sources is None else split(batch.sources)
    return [
        Batch(
            clean=clean[part],
            audio=audio[part],
            precomputed={name: cut[part] for name, cut in features.items()},
            sources=None if sources is None else sources[part],
            views=batch.views,
        )
        for part in range(parts)
    ]


def ahead(function: Callable[[Given], Result], items: Iterable[Given]) -> Iterator[Result]:
    """Yield `function(item)` in order; a thread works up to `AHEAD` items in advance."""
    remaining = iter(items)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(remaining, AHEAD))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result
