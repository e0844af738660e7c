"""Label subsets of trials: the training clips, or segments of them, whose labels a trial may use.

They depend on the fraction and the trial, and are the same for every run; segments also depend on the length of the
crops by which an encoder or a head is evaluated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.evaluation import trial_seeds
from workflow_scripts.levels.dataset_index import Task


@dataclass(frozen=True)
class LabelSubset:
    """Training examples of a trial: rows of clips, and the number of the segment in each, unless any part will do.

    `per_epoch` is the number of examples that an epoch draws; None: all.
    """

    rows: np.ndarray
    segments: np.ndarray | None = None
    per_epoch: int | None = None

    @property
    def clips(self) -> int:
        """Number of clips whose labels are used."""
        return len(np.unique(self.rows))

    def draw(self, *, trial: int, epoch: int) -> LabelSubset:
        """Return the examples of this epoch of the trial, in their order."""
        places = trial_seeds.shuffle_rows(np.arange(len(self.rows)), trial=trial, epoch=epoch)
        return self.take(places[: self.per_epoch])

    def take(self, places: np.ndarray) -> LabelSubset:
        """Return the examples at these places."""
        return LabelSubset(self.rows[places], None if self.segments is None else self.segments[places])

    def split(self, size: int) -> Iterator[LabelSubset]:
        """Yield mini-batches of `size` examples, the last one of the rest."""
        for first in range(0, len(self.rows), size):
            yield self.take(np.arange(first, min(first + size, len(self.rows))))


def choose_label_subset(
    rows: np.ndarray, *, clips: Sequence[str], labels: np.ndarray, task: Task, fraction: float, trial: int
) -> np.ndarray:
    """Choose the training rows whose labels this trial may use, ascending.

    `rows` are the training rows; `clips` (rows,) their ids and `labels` (rows, classes) their labels, NaN = unobserved.
    The choice depends on clip ids, labels, fraction and trial only, never on the encoder. Subsets are nested: the 1 %
    of a trial is part of its 10 %. The number of clips is round(fraction * rows), but at least one clip per class in a
    multiclass set. A multilabel set needs no such minimum: it has two strata per class, 1 and 0, and a single clip can
    belong to many of them. Validation and test splits are never reduced.
    """
    if fraction >= 1:
        return np.sort(rows)
    observed = labels == 1 if task == "multiclass" else np.concatenate([labels == 1, labels == 0], axis=1)
    strata = observed[:, observed.any(axis=0)]
    size = max(1, round(fraction * len(rows)), strata.shape[1] if task == "multiclass" else 0)
    return np.sort(rows[_balanced_prefix(strata, rank=_hash_ranks(clips, trial), size=size)])


def choose_segments(
    rows: np.ndarray, *, clips: Sequence[str], labels: np.ndarray, counts: np.ndarray, fraction: float, trial: int
) -> LabelSubset:
    """Choose training segments as the code of CLMR does: `max(1, int(fraction * n))` of the n with the same labels.

    `counts` (rows,) are the numbers of segments of each clip; all of a clip have its labels. A combination of labels
    that no other clip has keeps one segment at least, so small fractions keep more than their share (Spijkervet 2021,
    section 6.4; version 1 of the code, utils/subsample.py). Subsets are nested. An epoch draws as many segments as
    there are training clips at most, which is its size with all labels.
    """
    combination = np.unique(np.nan_to_num(labels, nan=-1.0), axis=0, return_inverse=True)[1].reshape(-1)
    clip = np.repeat(np.arange(len(rows)), counts)
    # by combination, and in the random order of the trial within each
    order = np.lexsort((_segment_keys(clips, counts, trial), combination[clip]))
    sizes = np.bincount(combination[clip])
    place = np.arange(len(clip)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.maximum(1, (fraction * sizes).astype(np.int64))
    chosen = np.sort(order[place < np.repeat(kept, sizes)])
    number = np.arange(len(clip)) - np.repeat(np.cumsum(counts) - counts, counts)
    return LabelSubset(rows[clip[chosen]], number[chosen], per_epoch=len(rows))


def _segment_keys(clips: Sequence[str], counts: np.ndarray, trial: int) -> np.ndarray:
    """Return a random number of each segment, whatever the other clips are."""
    names = (f"{trial}/{clip}".encode() for clip in clips)
    digests = (hashlib.shake_128(name).digest(8 * int(count)) for name, count in zip(names, counts, strict=True))
    return np.frombuffer(b"".join(digests), dtype="<u8")


def _hash_ranks(clips: Sequence[str], trial: int) -> np.ndarray:
    """Rank each clip in the random order of the trial.

    The order is that of hashes of the ids, so adding or removing a clip does not reorder the others.
    """
    hashes = [hashlib.blake2b(f"{trial}/{clip}".encode(), digest_size=8).digest() for clip in clips]
    return np.argsort(np.argsort(np.array([int.from_bytes(value) for value in hashes], dtype=np.uint64)))


def _balanced_prefix(strata: np.ndarray, *, rank: np.ndarray, size: int) -> np.ndarray:
    """Choose `size` positions so that every stratum keeps its share.

    `strata` is boolean (clips, strata). The stratum with the smallest share so far gets its next clip (greedy choice).
    Positions in no stratum come last. Subsets are nested, because each is a prefix of the same sequence.
    """
    # clips of each stratum, in the random order
    ordered = np.argsort(rank)
    queues = [iter(ordered[strata[ordered, stratum]]) for stratum in range(strata.shape[1])]
    totals = strata.sum(axis=0).astype(float)
    # take the next clip of the stratum with the smallest share; an exhausted stratum gets the share infinity
    counts = np.zeros(strata.shape[1])
    chosen: dict[int, None] = {}
    while len(chosen) < size and np.isfinite(share := counts / totals).any():
        stratum = int(np.argmin(share))
        position = next((int(p) for p in queues[stratum] if int(p) not in chosen), None)
        if position is None:
            counts[stratum] = np.inf
        else:
            chosen[position] = None
            counts += strata[position]
    # fill up with clips of no stratum
    rest = (int(position) for position in ordered if int(position) not in chosen)
    return np.array([*chosen, *(position for position, _ in zip(rest, range(size - len(chosen)), strict=False))], int)
