"""Equal recordings: digests of samples without the digital silence around them, and the groups that doubles join."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def digest_samples(samples: np.ndarray) -> bytes:
    """Compute the digest of int16 samples (samples,) from the first to the last nonzero one; empty if all are zero."""
    sounding = np.flatnonzero(samples)
    if not len(sounding):
        return b""
    return hashlib.blake2b(samples[sounding[0] : sounding[-1] + 1].tobytes(), digest_size=16).digest()


def join_groups(groups: Sequence[str], digests: Sequence[bytes]) -> list[str]:
    """Return the groups of clips where those that hold an equal recording, by its digest, are one.

    It has the name of the group that comes first; clips with an empty digest are not compared.
    """
    joined: dict[str, str] = {}  # group -> an earlier one that it is part of

    def find(group: str) -> str:
        while group in joined:
            group = joined[group]
        return group

    first: dict[bytes, str] = {}
    for group, digest in zip(groups, digests, strict=True):
        if digest and find(group) != (earlier := find(first.setdefault(digest, group))):
            joined[find(group)] = earlier
    return [find(group) for group in groups]
