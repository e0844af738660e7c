"""Detection of equal audio by digests of samples, without the digital silence around them."""

from __future__ import annotations

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.doubles import digest_samples


def digest_clips(corpus: Corpus) -> list[bytes]:
    """Compute the digest of each clip of a corpus, in clip order."""
    return [
        digest_samples(corpus.samples[start : start + length])
        for start, length in zip(corpus.offsets, corpus.lengths, strict=True)
    ]
