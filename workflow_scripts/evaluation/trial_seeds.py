"""Random generators of trials: initial head parameters, data order and crops are the same for every run.

Trial k of one encoder therefore differs from trial k of another by the encoder only, and methods can be compared in
pairs. All randomness is counter-based: a function of (trial, purpose, counters), independent of earlier draws, of the
number of trials and of interruptions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Purpose = Literal["head", "order", "crop", "encoder"]
#: these numbers must never change, because every published result depends on them
PURPOSES: dict[Purpose, int] = {"head": 1, "order": 2, "crop": 3, "encoder": 4}


def make_rng(purpose: Purpose, trial: int, *counters: int) -> np.random.Generator:
    """Create the generator of one purpose in one trial; `counters` separate the epochs (or shapes) of that purpose."""
    return np.random.default_rng([trial_seed(trial), PURPOSES[purpose], *counters])


def trial_seed(trial: int) -> int:
    """Compute the 32-bit seed of a trial, as written into `trials.csv`."""
    return int(np.random.SeedSequence([trial]).generate_state(1)[0])


def shuffle_rows(rows: np.ndarray, *, trial: int, epoch: int) -> np.ndarray:
    """Return `rows` in the order of this trial in this epoch."""
    return rows[make_rng("order", trial, epoch).permutation(len(rows))]
