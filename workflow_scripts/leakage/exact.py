"""Detection of equal audio by digests of samples, without the digital silence around them."""

from __future__ import annotations

import hashlib

import numpy as np

from workflow_scripts.audio.corpus import Corpus


def digest_samples(samples: np.ndarray) -> bytes:
    """Compute the digest of int16 samples (samples,) from the first to the last nonzero one; empty if all are zero."""
    sounding = np.flatnonzero(samples)
    if not len(sounding):
        return b""
    return hashlib.blake2b(samples[sounding[0] : sounding[-1] + 1].tobytes(), digest_size=16).digest()


def digest_clips(corpus: Corpus) -> list[bytes]:
    """Compute the digest of each clip of a corpus, in clip order."""
    return [
        digest_samples(corpus.samples[start : start + length])
        for start, length in zip(corpus.offsets, corpus.lengths, strict=True)
    ]
