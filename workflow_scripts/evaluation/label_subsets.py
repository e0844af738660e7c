"""Label subsets of trials: the training clips whose labels a trial may use, by fraction, the same for every run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import Task

FRACTION = re.compile(r"(\d+(?:\.\d+)?)pct")


def parse_fraction(name: str) -> float:
    """Parse the name of a fraction into the share of the training labels: "12.5pct" is 0.125.

    Raises `UserError` for an invalid name.
    """
    match = FRACTION.fullmatch(name)
    if match is None or not 0 < float(match[1]) <= 100:
        raise UserError(
            f"unknown fraction {name!r}; write a percentage above 0 and up to 100, such as 100pct or 12.5pct"
        )
    return float(match[1]) / 100


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
