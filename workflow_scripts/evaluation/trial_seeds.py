"""What a trial fixes: the head's first values, the label subset and the data order, the same for every run.

Trial k of one encoder therefore differs from trial k of another by the encoder alone, and methods can be compared in
pairs. All randomness is counter-based: it is a function of (trial, purpose, counters), so nothing depends on what was
drawn before, on how many trials there are, or on where a job was interrupted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import Task

Purpose = Literal["head", "order", "crop", "encoder"]
#: the numbers must never change: they are part of every published result
PURPOSES: dict[Purpose, int] = {"head": 1, "order": 2, "crop": 3, "encoder": 4}
FRACTION = re.compile(r"(\d+(?:\.\d+)?)pct")


def make_rng(purpose: Purpose, trial: int, *counters: int) -> np.random.Generator:
    """Random numbers of one purpose in one trial; `counters` tell apart the epochs (or shapes) of that purpose."""
    return np.random.default_rng([trial_seed(trial), PURPOSES[purpose], *counters])


def trial_seed(trial: int) -> int:
    """Return the 32-bit seed of a trial, as written into `trials.csv`."""
    return int(np.random.SeedSequence([trial]).generate_state(1)[0])


def parse_fraction(name: str) -> float:
    """Return the share of the training labels that a fraction's name states: "12.5pct" is 0.125. `UserError` if it is
    no such name.
    """
    match = FRACTION.fullmatch(name)
    if match is None or not 0 < float(match[1]) <= 100:
        raise UserError(
            f"unknown fraction {name!r}; write a percentage above 0 and up to 100, such as 100pct or 12.5pct"
        )
    return float(match[1]) / 100


def shuffle_rows(rows: np.ndarray, *, trial: int, epoch: int) -> np.ndarray:
    """Return `rows` in the order in which this trial sees them in this epoch."""
    return rows[make_rng("order", trial, epoch).permutation(len(rows))]


def choose_label_subset(
    rows: np.ndarray, *, clips: Sequence[str], labels: np.ndarray, task: Task, fraction: float, trial: int
) -> np.ndarray:
    """Choose the training rows whose labels this trial may use, ascending.

    `rows` are the training rows; `clips` (rows,) their ids and `labels` (rows, classes) their labels, NaN = unobserved.
    The choice depends on clip ids, labels, fraction and trial only, never on the encoder. Subsets are nested: a trial's
    1 % lies in its 10 %. The number of clips is round(fraction * rows), and no fewer than one clip per class in a
    multiclass set (a multilabel set has two strata a class, 1 and 0, which one clip can serve many of, so it needs no
    such floor). Validation and test splits are never reduced.
    """
    if fraction >= 1:
        return np.sort(rows)
    observed = labels == 1 if task == "multiclass" else np.concatenate([labels == 1, labels == 0], axis=1)
    strata = observed[:, observed.any(axis=0)]
    size = max(1, round(fraction * len(rows)), strata.shape[1] if task == "multiclass" else 0)
    return np.sort(rows[_balanced_prefix(strata, rank=_hash_ranks(clips, trial), size=size)])


def _hash_ranks(clips: Sequence[str], trial: int) -> np.ndarray:
    """Place of each clip in the trial's random order; hashes of the ids, so that a clip more or less in the set moves
    no other clip.
    """
    keys = [hashlib.blake2b(f"{trial}/{clip}".encode(), digest_size=8).digest() for clip in clips]
    return np.argsort(np.argsort(np.array([int.from_bytes(key) for key in keys], dtype=np.uint64)))


def _balanced_prefix(strata: np.ndarray, *, rank: np.ndarray, size: int) -> np.ndarray:
    """Choose `size` positions so that every stratum keeps its share: each time the least served stratum gets its next
    clip.

    `strata` is boolean (clips, strata); positions that are in no stratum come last. Being a prefix of one order makes
    subsets nested.
    """
    ordered = np.argsort(rank)
    queues = [iter(ordered[strata[ordered, stratum]]) for stratum in range(strata.shape[1])]
    totals = strata.sum(axis=0).astype(float)
    served = np.zeros(strata.shape[1])
    chosen: dict[int, None] = {}
    while len(chosen) < size and np.isfinite(share := served / totals).any():
        stratum = int(np.argmin(share))
        position = next((int(p) for p in queues[stratum] if int(p) not in chosen), None)
        if position is None:
            served[stratum] = np.inf
        else:
            chosen[position] = None
            served += strata[position]
    rest = (int(position) for position in ordered if int(position) not in chosen)
    return np.array([*chosen, *(position for position, _ in zip(rest, range(size - len(chosen)), strict=False))], int)
