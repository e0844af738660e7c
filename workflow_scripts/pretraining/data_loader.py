"""Loading of pre-training batches: reading and copying go on while the device computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.audio.samples import FULL_SCALE
from workflow_scripts.features.frames import HOP, frame_count
from workflow_scripts.features.stored_features import StoredFeature
from workflow_scripts.networks.interfaces import Augmentation, Batch
from workflow_scripts.pretraining.crop_sampler import CropIndex, Recordings
from workflow_scripts.pretraining.stem_mixtures import Mixer
from workflow_scripts.pretraining.throughput import DataWaitTimer

# batches loaded in advance: the disk may stall for two steps
PREFETCHED_BATCHES = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class BatchLoader:
    """Loader of batches of crops onto the training device.

    A thread reads from disk and, for a GPU, pins the memory and starts the copy on a stream of its own. A `mixer` turns
    the crops of several recordings into mixtures and their sources.
    """

    corpus: Recordings
    features: Mapping[str, StoredFeature]
    augmentation: Augmentation
    length: int
    device: torch.device
    mixer: Mixer | None = None

    def batches(
        self, seeded_crops: Iterable[tuple[CropIndex, int]], *, wait_timer: DataWaitTimer | None = None
    ) -> Iterator[Batch]:
        """Yield the batch of each (crops, augmentation seed), loaded in advance by a thread.

        `wait_timer` is notified whenever the data of a batch have arrived on the device.
        """
        stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        for loaded in prefetch(partial(self._load, stream), seeded_crops):
            self._wait_for_copy(loaded)
            if wait_timer is not None:
                wait_timer.mark_arrival()
            clean = loaded.samples.float() / FULL_SCALE
            audio = self._augment(clean, loaded)
            sources = None if loaded.sources is None else loaded.sources / FULL_SCALE
            yield Batch(clean=clean, audio=audio, precomputed=loaded.features, sources=sources, views=loaded.views)

    def _load(self, stream: torch.cuda.Stream | None, seeded_crops: tuple[CropIndex, int]) -> _LoadedBatch:
        crops, seed = seeded_crops
        loaded = self._read(crops, seed)
        if stream is None:
            return loaded
        # sets the current stream, and the current GPU, of this thread
        with torch.cuda.stream(stream):
            samples = self._start_copy(loaded.samples)
            features = {name: self._start_copy(values) for name, values in loaded.features.items()}
            sources = None if loaded.sources is None else self._start_copy(loaded.sources)
            return replace(loaded, samples=samples, features=features, sources=sources, copied=stream.record_event())

    def _read(self, crops: CropIndex, seed: int) -> _LoadedBatch:
        if self.mixer is not None:
            mixtures, sources = self.mixer.read(crops.rows, starts=crops.starts, length=self.length, pieces=crops.views)
            return _LoadedBatch(
                samples=torch.from_numpy(mixtures), sources=torch.from_numpy(sources), features={}, seed=seed, views=1
            )
        # int16: half the bytes of float32 to copy to the device
        samples = np.zeros((len(crops.rows), self.length), np.int16)
        for piece, row, start in zip(samples, crops.rows, crops.starts, strict=True):
            self.corpus.fill(piece, row=row, start=start)
        frames = frame_count(self.length)
        features = {
            name: torch.from_numpy(stored.cut_rows(crops.rows, crops.starts // HOP, frames))
            for name, stored in self.features.items()
        }
        return _LoadedBatch(samples=torch.from_numpy(samples), features=features, seed=seed, views=crops.views)

    def _augment(self, clean: Tensor, loaded: _LoadedBatch) -> Tensor:
        generator = torch.Generator().manual_seed(loaded.seed)
        if not self.augmentation.one_sided:
            return self.augmentation(clean, generator=generator)
        first, *others = clean.chunk(loaded.views)
        return torch.cat([self.augmentation(first, generator=generator), *others])

    def _start_copy(self, tensor: Tensor) -> Tensor:
        # the host's allocator keeps the pinned memory until the stream has passed the copy
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _wait_for_copy(self, loaded: _LoadedBatch) -> None:
        """Make the computing stream wait for the copies, and tie the memory of the copies to the computing stream."""
        if loaded.copied is None:
            return
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(loaded.copied)
        for tensor in (loaded.samples, loaded.sources, *loaded.features.values()):
            if tensor is not None:
                tensor.record_stream(stream)


@dataclass(frozen=True, kw_only=True)
class _LoadedBatch:
    """A batch as read: samples (batch, samples), stored features, and the event after the copy to a GPU.

    Samples are int16. Mixtures are float32 on the same scale, as are their sources (batch, sources, samples).
    """

    samples: Tensor
    features: dict[str, Tensor]
    seed: int
    views: int
    sources: Tensor | None = None
    copied: torch.cuda.Event | None = None


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """Split a batch into `parts` equal micro-batches, in order; each holds all views of its examples."""
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
            precomputed={name: values[part] for name, values in features.items()},
            sources=None if sources is None else sources[part],
            views=batch.views,
        )
        for part in range(parts)
    ]


def prefetch(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` in order; a thread works up to `PREFETCHED_BATCHES` items in advance."""
    remaining = iter(items)
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(remaining, PREFETCHED_BATCHES)
        )
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result
