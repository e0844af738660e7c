"""Which clips of one set are heard in another: an index of fingerprints, and what it finds.

Equal keys name places where two clips may be the same; at each such place all codes that overlap are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.leakage.fingerprint import (
    BANDS_PER_OCTAVE,
    FRAMES_PER_SECOND,
    KEY_BITS,
    SHIFTS,
    SILENT,
    STRIDE,
    TABLES,
    Fingerprint,
    lookup_keys,
)

CODE_BITS = 64
MAX_DIFFERENT_BITS = (
    16  # bits that may differ at the place where keys are equal: of unrelated codes one in 30,000 has so few
)
MIN_SIMILARITY = 0.5  # similarity from which clips count as the same recording; the audit's tests measure what it finds
MIN_FRAMES = 20  # of overlap, 1.4 s of sound: a held note has little more to tell it from others
MIN_SHARE = 0.5  # of the shorter clip that must overlap
MAX_FRAMES_PER_KEY = 4096  # frames under one key, in an index, beyond which the key says nothing (one held note, a hum)
HITS_AT_ONCE = 1 << 22  # of some 40 bytes while they are sorted
FRAMES_AT_ONCE = 1 << 21
PLACES_AT_ONCE = 1 << 12  # each takes up to 25 bytes a frame of the query
MAX_FRAMES = 1 << 20  # frames: nine hours, more than any clip has


@dataclass(frozen=True, kw_only=True)
class Match:
    """Two clips that sound the same.

    `similarity` is 1 for equal codes and 0 for as many equal bits as by chance. The query is `semitones` higher, to
    half a semitone, and begins `seconds` after the indexed clip.
    """

    indexed: int
    similarity: float
    semitones: float
    seconds: float


class FingerprintIndex:
    """Codes of many clips, by key. Takes about 36 bytes a frame: 1.2 kB a second of audio."""

    def __init__(self, codes: Sequence[np.ndarray]) -> None:
        """Take each clip's unshifted codes, uint64 (frames,)."""
        self.lengths = np.array([len(each) for each in codes], np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.codes = np.concatenate([*codes, np.empty(0, np.uint64)])
        self.clips = np.repeat(np.arange(len(codes), dtype=np.int32), self.lengths)
        self.sounding = np.array([np.count_nonzero(each != SILENT) for each in codes], np.int64)
        frames = np.flatnonzero(self.codes != SILENT)
        self._tables = [self._table(frames, table) for table in range(TABLES)]

    def _table(self, frames: np.ndarray, table: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames sorted by key, and where each key's begin."""
        parts = np.split(frames, range(FRAMES_AT_ONCE, len(frames), FRAMES_AT_ONCE))
        key = np.concatenate([lookup_keys(self.codes[part])[:, table] for part in parts])
        order = np.argsort(key, kind="stable")
        begins = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=1 << KEY_BITS))])
        return frames[order], begins

    @property
    def too_short(self) -> int:
        """Number of clips with too little sound to be found."""
        return int(np.count_nonzero(self.sounding < MIN_FRAMES))

    def search(self, query: Fingerprint) -> list[Match]:
        """Return the indexed clips that `query` is a version of, best first."""
        places = np.unique(np.concatenate([*self._places(query), np.empty(0, np.int64)]))
        best: dict[int, Match] = {}
        for part in np.split(places, range(PLACES_AT_ONCE, len(places), PLACES_AT_ONCE)):
            for match in self._confirmed(query, part):
                if match.indexed not in best or best[match.indexed].similarity < match.similarity:
                    best[match.indexed] = match
        return sorted(best.values(), key=lambda match: (-match.similarity, match.indexed))

    def _places(self, query: Fingerprint) -> Iterator[np.ndarray]:
        """Places where the query and an indexed clip have a key in common and nearly the same code, as numbers."""
        codes = query.codes[:, ::STRIDE]
        shift, lookup = np.nonzero(codes != SILENT)
        for table, (ordered, begins) in enumerate(self._tables):
            key = query.probes[shift, lookup, table]  # (looked up, settings of the weak bits)
            counts = begins[key + 1] - begins[key]
            which, setting = np.nonzero((counts > 0) & (counts <= MAX_FRAMES_PER_KEY))
            counts, first = counts[which, setting], begins[key[which, setting]]
            ends = np.cumsum(counts)
            cuts = np.searchsorted(ends, np.arange(HITS_AT_ONCE, ends[-1] if len(ends) else 0, HITS_AT_ONCE))
            for part in np.split(np.arange(len(counts)), cuts):
                entry = np.repeat(part, counts[part])
                within = np.arange(len(entry)) - np.repeat(np.cumsum(counts[part]) - counts[part], counts[part])
                frame = ordered[first[entry] + within]
                of_shift, of_lookup = shift[which[entry]], lookup[which[entry]]
                near = np.bitwise_count(self.codes[frame] ^ codes[of_shift, of_lookup]) <= MAX_DIFFERENT_BITS
                frame = frame[near]
                clip = self.clips[frame]
                lag = frame - self.starts[clip] - of_lookup[near] * STRIDE
                yield np.ravel_multi_index((of_shift[near], clip, lag + MAX_FRAMES), self._shape)

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Bounds of a place: shift, indexed clip, and lag in frames from the start of the clip to that of the query."""
        return len(SHIFTS), max(len(self.lengths), 1), 2 * MAX_FRAMES

    def _confirmed(self, query: Fingerprint, places: np.ndarray) -> Iterator[Match]:
        """Matches among the places, by all codes that overlap there."""
        shift, clip, lag = np.unravel_index(places, self._shape)
        lag = lag - MAX_FRAMES
        first = np.maximum(0, -lag)  # frame of the query where the overlap begins
        overlap = np.minimum(query.codes.shape[1], self.lengths[clip] - lag) - first
        steps = np.arange(overlap.max(initial=0))
        inside = steps < overlap[:, None]
        at = np.where(inside, first[:, None] + steps, 0)
        heard = query.codes[shift[:, None], at]
        known = self.codes[self.starts[clip][:, None] + np.where(inside, at + lag[:, None], 0)]
        compared = inside & (heard != SILENT) & (known != SILENT)
        frames = compared.sum(axis=1)
        different = np.where(compared, np.bitwise_count(heard ^ known), 0).sum(axis=1, dtype=np.int64)
        similarity = 1 - 2 * different / (CODE_BITS * np.maximum(frames, 1))
        own = np.count_nonzero(query.codes[shift] != SILENT, axis=1)
        enough = frames >= np.maximum(MIN_FRAMES, MIN_SHARE * np.minimum(own, self.sounding[clip]))
        for i in np.flatnonzero(enough & (similarity >= MIN_SIMILARITY)):
            yield Match(
                indexed=int(clip[i]),
                similarity=float(similarity[i]),
                semitones=SHIFTS[shift[i]] * 12 / BANDS_PER_OCTAVE,
                seconds=float(lag[i]) / FRAMES_PER_SECOND,
            )
