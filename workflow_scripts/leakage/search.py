"""Search for clips of one corpus in another, by an index of fingerprints.

Equal keys give candidate alignments of two clips; at each candidate all overlapping codes are compared.
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
#: bits in which a code may differ from one with an equal key: of unrelated codes one in 30,000 differs in so few
MAX_DIFFERENT_BITS = 16
#: from which clips count as the same recording: of a million pairs of different clips of twins the most similar reach
#: 0.56, and 1,195 of 1,200 changed versions (the audit's tests) are above
MIN_SIMILARITY = 0.6
MIN_FRAMES = 20  # of overlap, 1.4 s of sound: a held note has little more to distinguish it from others
MIN_SHARE = 0.5  # of the shorter clip that must overlap
MAX_FRAMES_PER_KEY = 4096  # in an index, beyond which a key is not informative (one held note, a hum)
HITS_AT_ONCE = 1 << 22  # of some 40 bytes while they are sorted
FRAMES_AT_ONCE = 1 << 21
ALIGNMENTS_AT_ONCE = 1 << 12  # each takes up to 25 bytes per frame of the query
MAX_FRAMES = 1 << 20  # of a clip: nine hours, longer than any clip


@dataclass(frozen=True, kw_only=True)
class Match:
    """Two clips of the same recording.

    `similarity` is 1 for equal codes and 0 for as many equal bits as by chance. The query is `semitones` higher, to
    half a semitone, and begins `seconds` after the indexed clip.
    """

    row: int
    similarity: float
    semitones: float
    seconds: float


class FingerprintIndex:
    """Codes of many clips by key. Takes about 36 bytes per frame, 1.2 kB per second of audio."""

    def __init__(self, codes: Sequence[np.ndarray]) -> None:
        """Take each clip's unshifted codes, uint64 (frames,)."""
        self.lengths = np.array([len(code) for code in codes], np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.codes = np.concatenate([*codes, np.empty(0, np.uint64)])
        self.clips = np.repeat(np.arange(len(codes), dtype=np.int32), self.lengths)
        self.sounding = np.array([np.count_nonzero(code != SILENT) for code in codes], np.int64)
        frames = np.flatnonzero(self.codes != SILENT)
        self._tables = [self._sort_by_key(frames, table) for table in range(TABLES)]

    def _sort_by_key(self, frames: np.ndarray, table: int) -> tuple[np.ndarray, np.ndarray]:
        """Sort frames by key; return them and the position of each key's first."""
        parts = np.split(frames, range(FRAMES_AT_ONCE, len(frames), FRAMES_AT_ONCE))
        key = np.concatenate([lookup_keys(self.codes[part])[:, table] for part in parts])
        order = np.argsort(key, kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=1 << KEY_BITS))])
        return frames[order], first

    @property
    def too_short(self) -> int:
        """Number of clips with too little sound to be found."""
        return int(np.count_nonzero(self.sounding < MIN_FRAMES))

    def search(self, query: Fingerprint) -> list[Match]:
        """Return the indexed clips that `query` is a version of, best first."""
        alignments = np.unique(np.concatenate([*self._find_alignments(query), np.empty(0, np.int64)]))
        best: dict[int, Match] = {}
        for part in np.split(alignments, range(ALIGNMENTS_AT_ONCE, len(alignments), ALIGNMENTS_AT_ONCE)):
            for match in self._verify_alignments(query, part):
                if match.row not in best or best[match.row].similarity < match.similarity:
                    best[match.row] = match
        return sorted(best.values(), key=lambda match: (-match.similarity, match.row))

    def _find_alignments(self, query: Fingerprint) -> Iterator[np.ndarray]:
        """Yield the alignments of query and indexed clips at frames with an equal key and nearly equal codes.

        An alignment is one integer, see `_shape`.
        """
        codes = query.codes[:, ::STRIDE]
        shift, lookup = np.nonzero(codes != SILENT)
        for table, (frames_by_key, starts) in enumerate(self._tables):
            # indexed frames under each probed key
            key = query.probes[shift, lookup, table]  # (lookups, settings of the weak bits)
            counts = starts[key + 1] - starts[key]
            probe, setting = np.nonzero((counts > 0) & (counts <= MAX_FRAMES_PER_KEY))
            counts, first = counts[probe, setting], starts[key[probe, setting]]
            ends = np.cumsum(counts)
            cuts = np.searchsorted(ends, np.arange(HITS_AT_ONCE, ends[-1] if len(ends) else 0, HITS_AT_ONCE))
            for part in np.split(np.arange(len(counts)), cuts):
                # one hit per pair of a probed key and an indexed frame
                entry = np.repeat(part, counts[part])
                within = np.arange(len(entry)) - np.repeat(np.cumsum(counts[part]) - counts[part], counts[part])
                frame = frames_by_key[first[entry] + within]
                hit_shift, hit_lookup = shift[probe[entry]], lookup[probe[entry]]
                # keep the hits whose whole codes are close in Hamming distance
                near = np.bitwise_count(self.codes[frame] ^ codes[hit_shift, hit_lookup]) <= MAX_DIFFERENT_BITS
                frame = frame[near]
                # lag of the query's start behind the clip's
                clip = self.clips[frame]
                lag = frame - self.starts[clip] - hit_lookup[near] * STRIDE
                yield np.ravel_multi_index((hit_shift[near], clip, lag + MAX_FRAMES), self._shape)

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Bounds of an alignment: shift, indexed clip, and lag in frames of the query's start behind the clip's."""
        return len(SHIFTS), max(len(self.lengths), 1), 2 * MAX_FRAMES

    def _verify_alignments(self, query: Fingerprint, alignments: np.ndarray) -> Iterator[Match]:
        """Yield the matches among the alignments, by all codes that overlap there."""
        shift, clip, lag = np.unravel_index(alignments, self._shape)
        lag = lag - MAX_FRAMES
        # overlap: first frame in the query, and length
        first = np.maximum(0, -lag)
        overlap = np.minimum(query.codes.shape[1], self.lengths[clip] - lag) - first
        # codes of query and clip in the overlap, (alignments, frames of the longest overlap)
        steps = np.arange(overlap.max(initial=0))
        inside = steps < overlap[:, None]
        frame = np.where(inside, first[:, None] + steps, 0)
        query_codes = query.codes[shift[:, None], frame]
        clip_codes = self.codes[self.starts[clip][:, None] + np.where(inside, frame + lag[:, None], 0)]
        # similarity: 1 minus twice the bit error rate over frames where neither is silent
        compared = inside & (query_codes != SILENT) & (clip_codes != SILENT)
        frames = compared.sum(axis=1)
        errors = np.where(compared, np.bitwise_count(query_codes ^ clip_codes), 0).sum(axis=1, dtype=np.int64)
        similarity = 1 - 2 * errors / (CODE_BITS * np.maximum(frames, 1))
        # long enough in frames, and as a share of the clip with less sound
        query_frames = np.count_nonzero(query.codes[shift] != SILENT, axis=1)
        enough = frames >= np.maximum(MIN_FRAMES, MIN_SHARE * np.minimum(query_frames, self.sounding[clip]))
        for i in np.flatnonzero(enough & (similarity >= MIN_SIMILARITY)):
            yield Match(
                row=int(clip[i]),
                similarity=float(similarity[i]),
                semitones=SHIFTS[shift[i]] * 12 / BANDS_PER_OCTAVE,
                seconds=float(lag[i]) / FRAMES_PER_SECOND,
            )
